"""The encoder of T5 and mT5."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tokenexit.backbones import as_data
from tokenexit.backbones.base import LayerCost
from tokenexit.backbones.inference_modules import InferenceModule, residual
from tokenexit.backbones.projected import Parts, Projected
from tokenexit.backbones.recipe import EmbeddingRecipe, Norm
from tokenexit.decoders.source_encoder import SourceEncoder


class T5Encoder(Projected, SourceEncoder):
    """Pre-norm encoder with relative positions, the same bias in every layer."""

    stack = "block"
    attention = "layer.0.SelfAttention"
    query_key_value = ("q", "k", "v")

    @property
    def max_length(self) -> int:
        """Without a bound, because positions are relative."""
        return 10**9

    def cost(self, index: int) -> LayerCost:
        """Multiply-accumulates of a layer."""
        matrices = 3 if self.config.is_gated_act else 2
        dense = matrices * self.hidden_size * int(self.config.d_ff)
        return LayerCost.of(self.hidden_size, dense, self.num_heads * int(self.config.d_kv))

    def scaling(self, index: int) -> float:
        """One: T5 folds the scale into its initialisation."""
        return 1.0

    def embed(self, input_ids: Tensor, positions: Tensor, segments: Tensor | None = None) -> Tensor:
        """Word embeddings; places enter through ``bias``."""
        return self.base.dropout(self.base.embed_tokens(input_ids))

    def context(self, hidden: Tensor, attention_mask: Tensor) -> Any:
        """Position bias and padding mask, together as the layers want them."""
        places = torch.arange(hidden.shape[1], device=hidden.device)
        mask = super().context(hidden, attention_mask)
        return self._position_bias(places[None], places[None]), mask

    def layer(self, index: int, hidden: Tensor, context: Any) -> Tensor:
        """The model's own layer."""
        bias, mask = context
        return self._layer(index)(hidden, attention_mask=mask, position_bias=bias)[0]

    def _asked(self, index: int, rows: Tensor) -> Tensor:
        return self._layer(index).layer[0].layer_norm(rows)

    def combine(self, index: int, rows: Tensor, attended: Tensor) -> Tensor:
        """Output projection and feed-forward block, each with residual."""
        first, last = self._layer(index).layer
        return held(last(held(residual(rows, first.SelfAttention.o, attended, first.dropout))))

    def bias(
        self, index: int, queries: Tensor, keys: Tensor, query_pos: Tensor, key_pos: Tensor
    ) -> Tensor:
        """The first layer's bias for the distance of each pair, ``[S, heads, A, M]``."""
        return self._position_bias(query_pos, key_pos)

    def _position_bias(self, query_pos: Tensor, key_pos: Tensor) -> Tensor:
        attention = self._layer(0).layer[0].SelfAttention
        buckets = attention._relative_position_bucket(
            key_pos[:, None, :] - query_pos[:, :, None],
            bidirectional=True,
            num_buckets=attention.relative_attention_num_buckets,
            max_distance=attention.relative_attention_max_distance,
        )
        return attention.relative_attention_bias(buckets).permute(0, 3, 1, 2)

    def _parts(self, index: int) -> Parts | None:
        first, last = self._layer(index).layer
        dense = getattr(last, "DenseReluDense", None)
        if dense is None or not as_data.known(dense):
            return None
        if not isinstance(last, InferenceModule) and not as_data.known(last):
            return None
        gated = hasattr(dense, "wi_0")
        return Parts(
            dense=(first.SelfAttention.o, dense.wi_0 if gated else dense.wi, dense.wo),
            norms=(first.layer_norm, last.layer_norm),
            activation=dense.act,
            gate=dense.wi_1 if gated else None,
            pre_norm=True,
            position_bias=self._bias_by_distance,
        )

    def _bias_by_distance(self, places: int) -> Tensor:
        """What is added for each distance, ``[heads, 2 n - 1]``."""
        distance = torch.arange(2 * places - 1)
        return self._position_bias(distance[places - 1 : places][None], distance[None])[0, :, 0]

    def embedding_recipe(self) -> EmbeddingRecipe | None:
        """Words alone."""
        return as_data.embedding(self.base.embed_tokens)

    def final_norm(self) -> Norm | None:
        """Above the last layer."""
        return as_data.norm_of(self.base.final_layer_norm)

    def finish(self, rows: Tensor) -> Tensor:
        """Final norm."""
        return self.base.dropout(self.base.final_layer_norm(rows))


def held(rows: Tensor) -> Tensor:
    """Rows kept finite in half precision, which T5's residuals overflow."""
    if rows.dtype != torch.float16:
        return rows
    limit = torch.finfo(rows.dtype).max - 1000
    return rows.clamp(-limit, limit)
