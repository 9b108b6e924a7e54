"""The encoder of BART, Marian, mBART and Pegasus."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any

from torch import Tensor
from torch.nn.functional import dropout
from transformers.masking_utils import create_bidirectional_mask

from tokenexit.backbones import as_data
from tokenexit.backbones.base import LayerCost
from tokenexit.backbones.lean import apart, residual
from tokenexit.backbones.recipe import EmbeddingRecipe, LayerRecipe, Norm
from tokenexit.decoders.source_encoder import SourceEncoder

PRE_NORM = ("mbart", "pegasus")
LEARNED_POSITIONS = ("bart", "mbart")


class BartEncoder(SourceEncoder):
    """Encoder with absolute positions; its norms lie before or after each block."""

    stack = "layers"

    @cached_property
    def _layers(self) -> list[Any]:
        return list(self.base.layers)

    @cached_property
    def _pre_norm(self) -> bool:
        return self.config.model_type in PRE_NORM

    @cached_property
    def num_layers(self) -> int:
        """Depth of the encoder."""
        return int(self.config.encoder_layers)

    @cached_property
    def num_heads(self) -> int:
        """Attention heads of an encoder layer."""
        return int(self.config.encoder_attention_heads)

    def cost(self, index: int) -> LayerCost:
        """Multiply-accumulates of a layer."""
        width = self.hidden_size
        return LayerCost(
            query=width * width,
            key_value=2 * width * width,
            combine=width * width + 2 * width * int(self.config.encoder_ffn_dim),
            pair=2 * width,
        )

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

    def context(self, hidden: Tensor, attention_mask: Tensor) -> Any:
        """The padding mask in the form the attention wants."""
        return create_bidirectional_mask(
            config=self.config, inputs_embeds=hidden, attention_mask=attention_mask
        )

    def layer(self, index: int, hidden: Tensor, context: Any) -> Tensor:
        """The model's own layer."""
        return self._layers[index](hidden, context)

    def _read(self, index: int, rows: Tensor) -> Tensor:
        layer = self._layers[index]
        return layer.self_attn_layer_norm(rows) if self._pre_norm else rows

    def queries(self, index: int, rows: Tensor, positions: Tensor) -> Tensor:
        """Query projection."""
        return self._layers[index].self_attn.q_proj(self._read(index, rows))

    def keys_values(self, index: int, rows: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Key and value projections."""
        attention, rows = self._layers[index].self_attn, self._read(index, rows)
        keys, values = apart(rows, attention.k_proj, attention.v_proj)
        return keys, values

    def combine(self, index: int, rows: Tensor, attended: Tensor) -> Tensor:
        """Output projection and feed-forward block, each with residual and norm."""
        layer = self._layers[index]
        drop = partial(dropout, p=layer.dropout, training=layer.training)
        rows = residual(rows, layer.self_attn.out_proj, attended, drop)
        rows = rows if self._pre_norm else layer.self_attn_layer_norm(rows)
        inner = layer.final_layer_norm(rows) if self._pre_norm else rows
        inner = layer.activation_fn(layer.fc1(inner))
        inner = dropout(inner, layer.activation_dropout, layer.training)
        rows = residual(rows, layer.fc2, inner, drop)
        return rows if self._pre_norm else layer.final_layer_norm(rows)

    def attention_dropout(self, index: int) -> float:
        """The layer's dropout on attention weights while training."""
        attention = self._layers[index].self_attn
        return float(attention.dropout) if attention.training else 0.0

    def recipe(self, index: int) -> LayerRecipe | None:
        """The layer as data."""
        layer, attention = self._layers[index], self._layers[index].self_attn
        return as_data.layer(
            linears={
                "query": attention.q_proj,
                "key": attention.k_proj,
                "value": attention.v_proj,
                "output": attention.out_proj,
                "ff_in": layer.fc1,
                "ff_out": layer.fc2,
            },
            attention_norm=layer.self_attn_layer_norm,
            ff_norm=layer.final_layer_norm,
            activation=layer.activation_fn,
            heads=self.num_heads,
            scale=self.scaling(index),
            pre_norm=self._pre_norm,
        )

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
