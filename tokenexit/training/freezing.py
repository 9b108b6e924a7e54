"""Parts of a model that a phase leaves as they are: no gradients, no dropout."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn

from tokenexit.errors import UserError, unknown_name

TOP = ("network", "top")
"""Parts that decide what the top says."""

Parts = Mapping[str, Sequence[nn.Module]]
"""Modules by the name of their part; what stands in several parts belongs to the last."""


def check_frozen(model: Any, frozen: Collection[str], name: str) -> None:
    """Refuse to freeze what a model has not, or all that it has.

    Args:
        model: What is trained; its ``parts`` have names.
        frozen: Those names.
        name: Of the phase, for messages.

    Raises:
        UserError: Says which parts there are.
    """
    parts = model.parts()
    for part in frozen:
        if part not in parts:
            raise unknown_name(f"part of the model in {name}.freeze", part, parts)
    kept = _frozen(parts, frozen)
    if frozen and all(id(weight) in kept for weight in model.parameters()):
        raise UserError(
            f"{name} freezes {', '.join(frozen)}, which is all that this model has: nothing is "
            "left to learn."
        )


@contextmanager
def frozen_parts(model: Any, frozen: Collection[str]) -> Iterator[None]:
    """Take gradients from parts of a model while the block runs."""
    kept = _frozen(model.parts(), frozen)
    held = [w for w in model.parameters() if w.requires_grad and id(w) in kept]
    try:
        for weight in held:
            weight.requires_grad_(False)
        yield
    finally:
        for weight in held:
            weight.requires_grad_(True)


def set_modes(model: Any, frozen: Collection[str]) -> None:
    """Training mode, but for frozen parts: those compute as they will be used."""
    model.train()
    if not frozen:
        return
    parts = model.parts()
    whole = _with_inner(parts, frozen)
    for name, modules in parts.items():
        for module in modules:
            module.train(name not in whole)


def learns(module: nn.Module) -> bool:
    """Whether anything in a module takes a gradient."""
    return any(weight.requires_grad for weight in module.parameters())


def _frozen(parts: Parts, frozen: Collection[str]) -> set[int]:
    """Identities of the parameters of frozen parts."""
    whole, owner = _with_inner(parts, frozen), dict[int, str]()
    for name, modules in parts.items():
        owner |= {id(weight): name for module in modules for weight in module.parameters()}
    return {weight for weight, name in owner.items() if name in whole}


def _with_inner(parts: Parts, frozen: Collection[str]) -> set[str]:
    """Frozen parts, with embeddings and lower layers of a frozen network."""
    found = {*frozen}
    return found | ({"embeddings", "lower"} & parts.keys() if "network" in found else set())
