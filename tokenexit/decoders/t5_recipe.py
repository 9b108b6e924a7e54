"""T5's and mT5's decoder as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from tokenexit.backbones import as_data
from tokenexit.decoders.recipe import DecoderRecipe, LayerParts, family, parts_of

if TYPE_CHECKING:
    from tokenexit.decoders.base import Decoder


def t5_recipe(decoder: Decoder, stack: Any, scaled: bool) -> DecoderRecipe | None:
    """The recipe, or None if a module is not the family's own.

    Args:
        decoder: The adapter.
        stack: Its stack of layers.
        scaled: Whether finished rows are scaled by the root of their width.
    """
    norm, head = as_data.norm_of(stack.final_layer_norm), as_data.linear(decoder.final_head())
    layers = [_layer(block.layer) for block in stack.block]
    words, acts = stack.embed_tokens, [block.layer[-1].DenseReluDense.act for block in stack.block]
    known = {as_data.activation_of(act) for act in acts}
    own = family(stack) and type(words) is nn.Embedding
    if not own or norm is None or head is None or None in layers or None in known:
        return None
    return DecoderRecipe(
        layers=tuple(layer for layer in layers if layer is not None),
        pre_norm=True,
        activation=str(known.pop()),
        words=words.weight,
        word_scale=1.0,
        places=None,
        embed_norm=None,
        final_norm=norm,
        final_scale=decoder.hidden_size**-0.5 if scaled else 1.0,
        head=head,
    )


def _layer(parts: Any) -> LayerParts | None:
    first, cross, feed = parts
    own, other = first.SelfAttention, cross.EncDecAttention
    dense = feed.DenseReluDense
    gated = hasattr(dense, "wi_0")
    return parts_of(
        (first.layer_norm, cross.layer_norm, feed.layer_norm),
        (own.q, own.k, own.v, own.o),
        (other.q, other.k, other.v, other.o),
        (dense.wi_0 if gated else dense.wi, dense.wi_1 if gated else None, dense.wo),
    )
