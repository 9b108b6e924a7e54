"""ALBERT: a few layers of weights, run again and again."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, PretrainedConfig
from transformers.masking_utils import create_bidirectional_mask

from tokenexit.backbones import as_data
from tokenexit.backbones.base import BACKBONES, Absorbable, Backbone, LayerCost, projections
from tokenexit.backbones.lean import apart
from tokenexit.backbones.recipe import EmbeddingRecipe, HeadRecipe, LayerRecipe


@BACKBONES.register("albert")
class AlbertBackbone(Backbone):
    """Post-norm encoder with absolute positions and shared weights.

    Each of the ``inner_group_num`` layers inside a group counts as a layer of its own.
    """

    @property
    def capturable(self) -> bool:
        """Yes."""
        return True

    @cached_property
    def num_layers(self) -> int:
        """Depth of the network, repeated layers counted each time."""
        return int(self.config.num_hidden_layers) * int(self.config.inner_group_num)

    def _layer(self, index: int) -> Any:
        repeat, inner = divmod(index, int(self.config.inner_group_num))
        # The encoder divides in floats; where groups do not fit evenly, so must we.
        group = int(repeat / (self.config.num_hidden_layers / self.config.num_hidden_groups))
        return self.base.encoder.albert_layer_groups[group].albert_layers[inner]

    def cost(self, index: int) -> LayerCost:
        """Multiply-accumulates of layer ``index``."""
        width, inner = self.hidden_size, int(self.config.intermediate_size)
        return LayerCost(
            query=width * width,
            key_value=2 * width * width,
            combine=width * width + 2 * width * inner,
            pair=2 * width,
        )

    def embed(self, input_ids: Tensor, positions: Tensor, segments: Tensor | None = None) -> Tensor:
        """Word, position and segment embeddings, widened to the width of the layers."""
        hidden = self.base.embeddings(
            input_ids=input_ids,
            position_ids=positions,
            token_type_ids=torch.zeros_like(input_ids) if segments is None else segments,
        )
        return self.base.encoder.embedding_hidden_mapping_in(hidden)

    def context(self, hidden: Tensor, attention_mask: Tensor) -> Any:
        """The padding mask in the form the attention wants."""
        return create_bidirectional_mask(
            config=self.config, inputs_embeds=hidden, attention_mask=attention_mask
        )

    def layer(self, index: int, hidden: Tensor, context: Any) -> Tensor:
        """The model's own layer."""
        return self._layer(index)(hidden, context)

    def queries(self, index: int, rows: Tensor, positions: Tensor) -> Tensor:
        """Query projection."""
        return self._layer(index).attention.query(rows)

    def keys_values(self, index: int, rows: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Key and value projections."""
        attention = self._layer(index).attention
        keys, values = apart(rows, attention.key, attention.value)
        return keys, values

    def combine(self, index: int, rows: Tensor, attended: Tensor) -> Tensor:
        """Output projection and feed-forward block, each with residual and norm."""
        layer = self._layer(index)
        attention = layer.attention
        rows = attention.LayerNorm(rows + attention.output_dropout(attention.dense(attended)))
        return layer.full_layer_layer_norm(layer.ff_chunk(rows) + rows)

    def attention_dropout(self, index: int) -> float:
        """The layer's dropout on attention weights while training."""
        dropout = self._layer(index).attention.attention_dropout
        return float(dropout.p) if dropout.training else 0.0

    def absorbable(self, index: int) -> Absorbable | None:
        """Key and value weights of the layer."""
        attention = self._layer(index).attention
        return projections(attention.key, attention.value)

    def recipe(self, index: int) -> LayerRecipe | None:
        """The layer as data."""
        layer = self._layer(index)
        attention = layer.attention
        if not as_data.known(layer) or not as_data.dropout(attention.output_dropout, layer.dropout):
            return None
        return as_data.layer(
            linears={
                "query": attention.query,
                "key": attention.key,
                "value": attention.value,
                "output": attention.dense,
                "ff_in": layer.ffn,
                "ff_out": layer.ffn_output,
            },
            attention_norm=attention.LayerNorm,
            ff_norm=layer.full_layer_layer_norm,
            activation=layer.activation,
            heads=self.num_heads,
            scale=self.scaling(index),
        )

    def embedding_recipe(self) -> EmbeddingRecipe | None:
        """The embeddings as data."""
        parts = self.base.embeddings
        if not as_data.known(parts) or not as_data.dropout(parts.dropout):
            return None
        return as_data.embedding(
            tokens=parts.word_embeddings,
            places=parts.position_embeddings,
            segments=parts.token_type_embeddings,
            norm=parts.LayerNorm,
            project=self.base.encoder.embedding_hidden_mapping_in,
        )

    def top_recipe(self) -> HeadRecipe | None:
        """The classifier of words or texts as data."""
        model: Any = self.model
        drops = (model.dropout,)
        if not self.of_texts:
            return as_data.head(model.classifier, drops=drops)
        base = self.base
        return as_data.head(model.classifier, base.pooler, base.pooler_activation, drops=drops)

    def classify_text(self, rows: Tensor) -> Tensor:
        """Pooler, dropout, classifier."""
        model: Any = self.model
        base = self.base
        pooled = base.pooler_activation(base.pooler(rows))
        return model.classifier(model.dropout(pooled))

    @classmethod
    def example_config(cls, model_type: str) -> PretrainedConfig:
        """Four layers of width 32, in two groups."""
        return AutoConfig.for_model(
            model_type,
            vocab_size=120,
            embedding_size=16,
            hidden_size=32,
            num_hidden_layers=4,
            num_hidden_groups=2,
            num_attention_heads=4,
            intermediate_size=48,
            max_position_embeddings=66,
            hidden_dropout_prob=0.1,
            attention_probs_dropout_prob=0.1,
        )
