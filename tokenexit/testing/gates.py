"""A context gate that nobody had to fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from tokenexit.context import ContextGate, GateConfig


def trusting_gate(
    num_layers: int, classes: Sequence[str] = ("a", "b"), **changes: Any
) -> ContextGate:
    """A context gate that trusts sure exits among sure neighbours.

    Args:
        num_layers: Depth of the network.
        classes: Names of the classes.
        changes: Settings of ``GateConfig`` that differ; where they change what it reads, its
            weights are random.
    """
    settings: dict[str, Any] = {
        "exits": tuple(range(1, num_layers)),
        "features": ("entropy", "margin", "agreement"),
        "neighbours": ("entropy", "margin"),
        "inner": 0,
    }
    settings |= {"num_layers": num_layers, "classes": classes, "num_classes": len(classes)}
    gate = ContextGate(GateConfig(**{**settings, **changes}), width=32)
    if changes.get("inner") or "features" in changes or "neighbours" in changes:
        draw = torch.Generator().manual_seed(0)
        for weight in gate.buffers():
            weight.copy_(torch.randn(weight.shape, generator=draw) * 0.3)
        return gate
    own = [5.0, -1.0, *[-0.5] * gate.config.history]
    near = [1.5, -0.5] * gate.slots + [0.2] * gate.slots + [-0.4] * gate.slots
    gate.weight.copy_(torch.tensor(own + near * gate.config.around))
    gate.bias.fill_(-3.0)
    return gate
