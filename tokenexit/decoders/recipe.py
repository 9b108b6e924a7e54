"""A decoder as data: what its layers are made of, for whoever computes them without its modules.

A recipe is given only where the modules are transformers' own or lean ones of a twin and nobody
listens to them: then the numbers say all there is to know. Dropout is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from tokenexit.backbones import as_data
from tokenexit.backbones.inference_modules import InferenceModule
from tokenexit.backbones.recipe import Linear, Norm


@dataclass(frozen=True, eq=False)
class LayerParts:
    """One decoder layer.

    Attributes:
        self_norm: Of self-attention: before it in pre-norm decoders, else after its residual.
        query: Of self-attention, as are ``key``, ``value`` and ``out``.
        cross_norm: Of cross-attention.
        cross_query: Of cross-attention, as are the three after it.
        feed_norm: Of the feed-forward block.
        inner: Its first matrix.
        gate: What the activated inner rows are multiplied with, or None.
        outer: Its last matrix.
    """

    self_norm: Norm
    query: Linear
    key: Linear
    value: Linear
    out: Linear
    cross_norm: Norm
    cross_query: Linear
    cross_key: Linear
    cross_value: Linear
    cross_out: Linear
    feed_norm: Norm
    inner: Linear
    gate: Linear | None
    outer: Linear


@dataclass(frozen=True, eq=False)
class DecoderRecipe:
    """A whole decoder.

    Attributes:
        layers: Its layers, the first first.
        pre_norm: Whether norms lie before blocks; else after residuals.
        activation: As of an encoder's layer.
        words: Word embeddings, ``[V, H]``.
        word_scale: Factor on them.
        places: Position embeddings by place from 0, ``[P, H]``, or None.
        embed_norm: Norm of the embedded rows, or None.
        final_norm: Norm before the vocabulary, or None.
        final_scale: Factor after it.
        head: The vocabulary.
    """

    layers: tuple[LayerParts, ...]
    pre_norm: bool
    activation: str
    words: Tensor
    word_scale: float
    places: Tensor | None
    embed_norm: Norm | None
    final_norm: Norm | None
    final_scale: float
    head: Linear


def parts_of(
    norms: Sequence[Any], own: Sequence[Any], cross: Sequence[Any], dense: Sequence[Any]
) -> LayerParts | None:
    """The layer as data, from its modules; None if one of them is unknown.

    Args:
        norms: Of self-attention, cross-attention and the feed-forward block.
        own: Query, key, value and output of self-attention.
        cross: The same of cross-attention.
        dense: First matrix of the feed-forward block, what it is multiplied with or None, and the
            last.
    """
    self_norm, cross_norm, feed_norm = map(as_data.norm_of, norms)
    linears = [as_data.linear(module) for module in (*own, *cross, dense[0], dense[2])]
    gate = None if dense[1] is None else as_data.linear(dense[1])
    known = [self_norm, cross_norm, feed_norm, *linears]
    if None in known or (gate is None) != (dense[1] is None):
        return None
    parts: list[Any] = [
        self_norm, *linears[:4], cross_norm, *linears[4:8], feed_norm, linears[8], gate, linears[9],
    ]  # fmt: skip
    return LayerParts(*parts)


def family(stack: nn.Module) -> bool:
    """Whether all of a stack is of transformers or a lean twin of it, and nobody listens to it."""
    return all(
        isinstance(module, InferenceModule)
        or (type(module).__module__.startswith(_HOMES) and as_data.untouched(module))
        for module in stack.modules()
    )


_HOMES = ("transformers.", "torch.nn.modules.")
