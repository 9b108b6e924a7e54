"""Who takes turns in a case, by name: transformers as users run it, and ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from on_device.cases import DeviceCase
from on_device.shapes import Size, policy_of
from tokenexit.errors import UserError
from tokenexit.evaluation.bench.by_depth import OurByDepth
from tokenexit.evaluation.bench.contender import Contender
from tokenexit.evaluation.bench.our_encoder import OurEncoder
from tokenexit.evaluation.bench.our_generator import OurGenerator
from tokenexit.evaluation.bench.plain_encoder import PlainEncoder
from tokenexit.evaluation.bench.plain_generator import PlainGenerator, Source, plain_generate
from tokenexit.models.generation.generate_texts import pad_sources

PLAIN = ("plain", "compiled", "generate", "static cache")
"""What is not ours."""


class CompiledEncoder(PlainEncoder):
    """The plain model compiled for each shape, its kernels captured in graphs on a GPU."""

    name = "compiled"

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self._network: Any = torch.compile(self._network, mode="reduce-overhead", dynamic=False)


class StaticGenerator(PlainGenerator):
    """``generate`` with a cache of fixed shape, for which transformers compiles on a GPU."""

    name = "static cache"

    def run(self, batch: Sequence[Source]) -> Tensor:
        """What was written, ``[B, T]``."""
        inputs = pad_sources(self._model, [source.ids for source in batch])
        return plain_generate(self._network, inputs, self._most, cache_implementation="static")


def entrant(name: str, case: DeviceCase, model: Any, size: Size) -> Contender:
    """One of a case, whose failure is told and ends nothing."""
    tagging = case.shape == "bert-base"
    made = _encoder(name, model) if tagging else _generator(name, case, model, size)
    made.name = name
    made.foreign = True  # type: ignore[misc]
    return made


def _encoder(name: str, model: Any) -> Contender:
    if name in PLAIN:
        return PlainEncoder(model) if name == "plain" else CompiledEncoder(model)
    return OurEncoder(name, model, policy_of(name, model.backbone.num_layers))


def _generator(name: str, case: DeviceCase, model: Any, size: Size) -> Contender:
    if name in PLAIN:
        kind = PlainGenerator if name == "generate" else StaticGenerator
        return kind(model, size.most)
    policy = policy_of(name, model.decoder.num_layers)
    if name == "by depth":
        return OurByDepth(model, policy, "lazy", size.most, case.batch, None)
    return OurGenerator(name, model, policy, "lazy", size.most)


def planned_on_device(model: Any) -> str | None:
    """Ask for ``static``; why it is refused, where it is, and the model left as it is."""
    try:
        model.use(runtime="static")
    except UserError as error:
        return str(error)
    return None
