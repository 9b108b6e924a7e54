"""Gradient equilibrium: keep shallow layers from adding up every exit's gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Split = Callable[[int, Tensor], tuple[Tensor, Tensor]]


class _ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.factor, None


def balanced(fork: Split, exit_layers: tuple[int, ...]) -> Split:
    """Scale gradients at a fork as ElasticBERT does (Liu et al. 2022).

    With ``r`` exits left, this one included, a head passes down ``1/r`` of its gradient and the
    rest of the network ``(r - 1)/r``: the expected gradient of a layer then does not grow with
    the number of exits above it. Values are not changed. Layers without a head pass all of it.

    Args:
        fork: The objective's own fork, applied first.
        exit_layers: Depths with a head, the top included.
    """

    def split(layer: int, hidden: Tensor) -> tuple[Tensor, Tensor]:
        for_head, upward = fork(layer, hidden)
        if layer not in exit_layers:
            return for_head, upward
        left = sum(1 for exit_layer in exit_layers if exit_layer >= layer)
        return (
            _ScaleGradient.apply(for_head, 1 / left),  # type: ignore[return-value]
            _ScaleGradient.apply(upward, (left - 1) / left),
        )

    return split
