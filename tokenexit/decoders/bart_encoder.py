"""The encoder of BART, Marian, mBART and Pegasus."""

from __future__ import annotations

from functools import cached_property, partial

from torch import Tensor
from torch.nn.functional import dropout

from tokenexit.backbones import as_data
from tokenexit.backbones.adapter import of_config
from tokenexit.backbones.base import LayerCost
from tokenexit.backbones.inference_modules import residual
from tokenexit.backbones.projected import Parts, Projected
from tokenexit.backbones.recipe import EmbeddingRecipe, Norm
from tokenexit.decoders.source_encoder import SourceEncoder

PRE_NORM = ("mbart", "pegasus")
LEARNED_POSITIONS = ("bart", "mbart")


class BartEncoder(Projected, SourceEncoder):
    """Encoder with absolute positions; its norms lie before or after each block."""

    stack = "layers"
    attention = "self_attn"
    query_key_value = ("q_proj", "k_proj", "v_proj")
    num_layers = of_config("encoder_layers")

    def cost(self, index: int) -> LayerCost:
        """Multiply-accumulates of a layer."""
        return LayerCost.of(self.hidden_size, 2 * self.hidden_size * self.config.encoder_ffn_dim)

    @cached_property
    def _pre_norm(self) -> bool:
        return self.config.model_type in PRE_NORM

    def embed(self, input_ids: Tensor, positions: Tensor, segments: Tensor | None = None) -> Tensor:
        """Word and position embeddings."""
        base = self.base
        words, flat = base.embed_tokens(input_ids), positions.flatten()
        places = base.embed_positions(input_ids.shape, position_ids=flat)
        if self.config.model_type in LEARNED_POSITIONS:
            hidden = base.layernorm_embedding(words + places.view_as(words))
        else:
            hidden = words * base.embed_scale + places.view_as(words)
        return dropout(hidden, base.dropout, base.training)

    def _asked(self, index: int, rows: Tensor) -> Tensor:
        return self._layer(index).self_attn_layer_norm(rows) if self._pre_norm else rows

    def combine(self, index: int, rows: Tensor, attended: Tensor) -> Tensor:
        """Output projection and feed-forward block, each with residual and norm."""
        layer = self._layer(index)
        drop = partial(dropout, p=layer.dropout, training=layer.training)
        rows = residual(rows, layer.self_attn.out_proj, attended, drop)
        rows = rows if self._pre_norm else layer.self_attn_layer_norm(rows)
        inner = layer.final_layer_norm(rows) if self._pre_norm else rows
        inner = layer.activation_fn(layer.fc1(inner))
        inner = dropout(inner, layer.activation_dropout, layer.training)
        rows = residual(rows, layer.fc2, inner, drop)
        return rows if self._pre_norm else layer.final_layer_norm(rows)

    def _parts(self, index: int) -> Parts:
        layer = self._layer(index)
        dense = layer.self_attn.out_proj, layer.fc1, layer.fc2
        norms = layer.self_attn_layer_norm, layer.final_layer_norm
        return Parts(dense, norms, layer.activation_fn, pre_norm=self._pre_norm)

    def embedding_recipe(self) -> EmbeddingRecipe | None:
        """Words and places, which some families norm."""
        base, learned = self.base, self.config.model_type in LEARNED_POSITIONS
        words, places = base.embed_tokens, base.embed_positions
        scale = getattr(words, "embed_scale", 1.0) if learned else base.embed_scale
        return as_data.embedding(
            words,
            scale=float(scale),
            places=places,
            first_place=int(getattr(places, "offset", 0)),
            norm=base.layernorm_embedding if learned else None,
        )

    def final_norm(self) -> Norm | None:
        """Above the last layer, in pre-norm families."""
        return as_data.norm_of(self.base.layer_norm) if self._pre_norm else None

    def finish(self, rows: Tensor) -> Tensor:
        """The final norm, in pre-norm families."""
        return self.base.layer_norm(rows) if self._pre_norm else rows
