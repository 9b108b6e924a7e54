"""Runs of the static engine beside the eager one, and what its segments ask of torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tokenexit.halting import Decisions, PolicyVisitor, Work, encode, pack
from tokenexit.policies import Policy
from tokenexit.static import StaticEncoder

CLASSES = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")

Done = tuple[Decisions, Work]


@pytest.fixture(scope="session")
def eagerly() -> Callable[..., Done]:
    """Run sentences through the engine that plans on the host."""

    def call(network: Any, sentences: Sequence[Any], policy: Policy, halted: Any = "copy") -> Done:
        backbone, batch = network.backbone, pack(sentences)
        score = (lambda seen: backbone.classify(seen.for_top)) if halted == "restore" else None
        visitor = PolicyVisitor(policy, batch.num_words, "cpu", score)
        given = backbone, network.heads, batch, visitor
        with torch.no_grad():
            work = encode(*given, halted=halted, absorb=False, classes=CLASSES)
        return visitor.decisions(), work

    return call


@pytest.fixture(scope="session")
def statically() -> Callable[..., Done]:
    """Run sentences through the engine that plans on the device."""

    def call(
        network: Any,
        sentences: Sequence[Any],
        policy: Policy,
        halted: Any = "copy",
        encoder: StaticEncoder | None = None,
        **options: Any,
    ) -> Done:
        backbone, heads = network.backbone, network.heads
        rule = policy.as_rule(backbone.num_layers, len(CLASSES), CLASSES, heads.layers)
        assert rule is not None
        encoder = encoder or StaticEncoder(backbone, heads, len(CLASSES), **options)
        done = encoder.encode(pack(sentences), rule, halted)
        return done.decisions, done.work

    return call


class Seen(TorchDispatchMode):
    """Notes what torch does: operators, host reads and copies between devices."""

    READS = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "unique", "masked_select")
    VIEWS = frozenset(
        "view _unsafe_view t transpose permute unsqueeze squeeze expand slice select split "
        "split_with_sizes as_strided detach alias unbind narrow lift_fresh _reshape_alias".split()
    )

    def __init__(self, device: str) -> None:
        super().__init__()
        self._device = device
        self.kernels: list[str] = []
        self.reads: list[str] = []
        self.copies: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        made = func(*args, **(kwargs or {}))
        masked = name in ("index", "index_put", "index_put_") and any(
            index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1]
        )
        if masked or any(name.startswith(word) for word in self.READS):
            self.reads.append(name)
        tensors = [leaf for leaf in tree_leaves((args, kwargs, made)) if isinstance(leaf, Tensor)]
        if any(tensor.device.type != self._device for tensor in tensors):
            self.copies.append(name)
        if name not in self.VIEWS:
            self.kernels.append(name)
        return made


@pytest.fixture(scope="session")
def seen() -> type[Seen]:
    """The counter."""
    return Seen
