"""An encoder as data: what its layers are made of, for those who compute them in their own way.

Adapters give a recipe only where nothing has been done to the modules that it stands for. All
numbers are those of evaluation: dropout is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from tokenexit import kernels
from tokenexit.backbones.reduced import Reduced

ACTIVATIONS = ("none", "relu", "gelu", "gelu_new", "silu", "tanh")
"""What may follow a product."""


@dataclass(frozen=True, eq=False)
class Linear:
    """A product with a matrix.

    Attributes:
        weight: ``[out, in]``; where it is in fewer bits already, its shape and type alone.
        bias: ``[out]`` or None.
        layer: Who has the weight then, packed.
    """

    weight: Tensor
    bias: Tensor | None
    layer: Reduced[Any] | None = None


def packed(library: kernels.Library, kind: str, linears: Sequence[Linear]) -> kernels.Matrix:
    """Products of the same rows as one, side by side.

    Args:
        library: Whose products read it.
        kind: Of the weights, where they are not in fewer bits already.
        linears: The products.

    Returns:
        A matrix of its own, or one that shares the memory of layers that have theirs packed.
    """
    layers = [linear.layer for linear in linears if linear.layer is not None]
    bias = _biases(linears)
    if len(layers) < len(linears):
        return kernels.Matrix(library, torch.cat([linear.weight for linear in linears]), bias, kind)
    first, *others = layers
    whole = first.beside(others) if others else first
    assert whole is not None  # of one twin, and so of one kind
    same = all(linear.bias is linear.layer.shift for linear in linears if linear.layer is not None)
    found = whole.matrix if same else whole.matrix.part(0, whole.out_features, bias)
    assert found is not None
    return found


def _biases(linears: Sequence[Linear]) -> Tensor | None:
    if all(linear.bias is None for linear in linears):
        return None
    return torch.cat(
        [
            torch.zeros(len(linear.weight)) if linear.bias is None else linear.bias.detach()
            for linear in linears
        ]
    )


@dataclass(frozen=True, eq=False)
class Norm:
    """A norm over the width.

    Attributes:
        kind: ``layer`` takes the mean off first, ``rms`` does not.
        weight: ``[H]``.
        bias: ``[H]`` or None.
        epsilon: Added to the variance, or to the mean square.
    """

    kind: Literal["layer", "rms"]
    weight: Tensor
    bias: Tensor | None
    epsilon: float


@dataclass(frozen=True, eq=False)
class LayerRecipe:
    """One layer of an encoder.

    Attributes:
        query: ``[H] -> [I]``; ``I`` is the width of all attention heads together.
        key: Likewise.
        value: Likewise.
        output: ``[I] -> [H]``, after the attention; what entered the layer is added.
        ff_in: ``[H] -> [F]``, followed by the activation.
        ff_out: ``[F] -> [H]``; what entered the block is added.
        gate: ``[H] -> [F]``, multiplied with what the activation gives; None where there is none.
        attention_norm: Of the attention block.
        ff_norm: Of the feed-forward block.
        pre_norm: Whether norms stand before their blocks, and not after the residuals.
        activation: One of ``ACTIVATIONS``.
        heads: Attention heads.
        scale: Factor on the scores before the softmax.
        position_bias: Gives, for a number of places ``n``, what is added to the scaled scores of
            each head by distance, ``[heads, 2 n - 1]``, from key minus query ``1 - n`` on; None
            where nothing is.
    """

    query: Linear
    key: Linear
    value: Linear
    output: Linear
    ff_in: Linear
    ff_out: Linear
    attention_norm: Norm
    ff_norm: Norm
    activation: str
    heads: int
    scale: float
    gate: Linear | None = None
    pre_norm: bool = False
    position_bias: Callable[[int], Tensor] | None = None


@dataclass(frozen=True, eq=False)
class EmbeddingRecipe:
    """How tokens become the states that enter the first layer.

    Attributes:
        tokens: ``[V, E]``.
        scale: Factor on them.
        places: ``[P, E]``, added by the place in the text; None where places enter elsewhere.
        first_place: Row of ``places`` for the first token.
        padding: Token that holds no place, and gets row ``first_place - 1``; None where all do.
        segments: ``[2, E]``, added by the segment; None without.
        norm: Of the sum; None without.
        project: ``[E] -> [H]``; None where the widths are the same.
    """

    tokens: Tensor
    scale: float = 1.0
    places: Tensor | None = None
    first_place: int = 0
    padding: int | None = None
    segments: Tensor | None = None
    norm: Norm | None = None
    project: Linear | None = None


@dataclass(frozen=True, eq=False)
class HeadRecipe:
    """A small classifier of rows.

    Attributes:
        project: ``[D] -> [C]``.
        dense: ``[H] -> [D]`` before it; None without, where ``D`` is ``H``.
        activation: Between the two, one of ``ACTIVATIONS``.
    """

    project: Linear
    dense: Linear | None = None
    activation: str = "none"
