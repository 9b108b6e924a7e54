"""The decoders of BART, Marian, mBART and Pegasus as data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from tokenexit.backbones import as_data
from tokenexit.backbones.recipe import Linear
from tokenexit.decoders.bart_encoder import LEARNED_POSITIONS, PRE_NORM
from tokenexit.decoders.recipe import DecoderRecipe, LayerParts, family, parts_of

if TYPE_CHECKING:
    from tokenexit.decoders.base import Decoder


def bart_recipe(decoder: Decoder, stack: Any) -> DecoderRecipe | None:
    """The recipe, or None if a module is not the family's own.

    Args:
        decoder: The adapter.
        stack: Its stack of layers.
    """
    kind = decoder.config.model_type
    pre_norm, learned = kind in PRE_NORM, kind in LEARNED_POSITIONS
    layers = [_layer(layer) for layer in stack.layers]
    known = {as_data.activation_of(layer.activation_fn) for layer in stack.layers}
    final = as_data.norm_of(stack.layer_norm) if pre_norm else None
    embed = as_data.norm_of(stack.layernorm_embedding) if learned else None
    head = as_data.linear(decoder.final_head())
    words: Any = stack.embed_tokens
    whole = family(stack) and isinstance(words, nn.Embedding)
    missing = (pre_norm and final is None) or (learned and embed is None) or head is None
    if not whole or missing or None in layers or None in known:
        return None
    assert head is not None
    scale: Any = words.embed_scale if learned else stack.embed_scale
    return DecoderRecipe(
        layers=tuple(layer for layer in layers if layer is not None),
        pre_norm=pre_norm,
        activation=str(known.pop()),
        words=words.weight,
        word_scale=float(scale),
        places=_places(stack.embed_positions),
        embed_norm=embed,
        final_norm=final,
        final_scale=1.0,
        head=_beside(head, decoder.model),
    )


def _places(positions: Any) -> Tensor:
    """Position embeddings from place 0 on; the learned ones begin behind an offset."""
    return positions.weight[getattr(positions, "offset", 0) :]


def _beside(head: Linear, model: Any) -> Linear:
    """The head with the bias that lies beside it."""
    beside = model.final_logits_bias[0]
    return replace(head, bias=beside if head.bias is None else head.bias + beside)


def _layer(layer: Any) -> LayerParts | None:
    own, other = layer.self_attn, layer.encoder_attn
    return parts_of(
        (layer.self_attn_layer_norm, layer.encoder_attn_layer_norm, layer.final_layer_norm),
        (own.q_proj, own.k_proj, own.v_proj, own.out_proj),
        (other.q_proj, other.k_proj, other.v_proj, other.out_proj),
        (layer.fc1, None, layer.fc2),
    )
