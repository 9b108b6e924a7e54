"""DistilBERT."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, PretrainedConfig
from transformers.masking_utils import create_bidirectional_mask

from tokenexit.backbones import as_data
from tokenexit.backbones.base import BACKBONES, Absorbable, Backbone, LayerCost, projections
from tokenexit.backbones.lean import apart
from tokenexit.backbones.recipe import EmbeddingRecipe, HeadRecipe, LayerRecipe


@BACKBONES.register("distilbert")
class DistilBertBackbone(Backbone):
    """Post-norm encoder with absolute positions and no segments."""

    stack = "transformer.layer"

    @property
    def capturable(self) -> bool:
        """Yes."""
        return True

    def cost(self, index: int) -> LayerCost:
        """Multiply-accumulates of layer ``index``."""
        width, inner = self.hidden_size, int(self.config.hidden_dim)
        return LayerCost(
            query=width * width,
            key_value=2 * width * width,
            combine=width * width + 2 * width * inner,
            pair=2 * width,
        )

    def embed(self, input_ids: Tensor, positions: Tensor, segments: Tensor | None = None) -> Tensor:
        """Word and position embeddings."""
        return self.base.embeddings(input_ids, position_ids=positions)

    def context(self, hidden: Tensor, attention_mask: Tensor) -> Any:
        """The padding mask in the form the attention wants."""
        return create_bidirectional_mask(
            config=self.config, inputs_embeds=hidden, attention_mask=attention_mask
        )

    def layer(self, index: int, hidden: Tensor, context: Any) -> Tensor:
        """The model's own layer."""
        return self.base.transformer.layer[index](hidden, context)

    def queries(self, index: int, rows: Tensor, positions: Tensor) -> Tensor:
        """Query projection."""
        return self.base.transformer.layer[index].attention.q_lin(rows)

    def keys_values(self, index: int, rows: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Key and value projections."""
        attention = self.base.transformer.layer[index].attention
        keys, values = apart(rows, attention.k_lin, attention.v_lin)
        return keys, values

    def combine(self, index: int, rows: Tensor, attended: Tensor) -> Tensor:
        """Output projection and feed-forward block, each with residual and norm."""
        layer = self.base.transformer.layer[index]
        rows = layer.sa_layer_norm(layer.attention.out_lin(attended) + rows)
        # Not `ffn` itself: its chunking cuts along dimension 1, which rows do not have.
        return layer.output_layer_norm(layer.ffn.ff_chunk(rows) + rows)

    def attention_dropout(self, index: int) -> float:
        """The layer's dropout on attention weights while training."""
        dropout = self.base.transformer.layer[index].attention.dropout
        return float(dropout.p) if dropout.training else 0.0

    def in_pieces(self) -> list[nn.Module]:
        """Attention, and the feed-forward block."""
        return [*super().in_pieces(), *(layer.ffn for layer in self.base.transformer.layer)]

    def absorbable(self, index: int) -> Absorbable | None:
        """Key and value weights of the layer."""
        attention = self.base.transformer.layer[index].attention
        return projections(attention.k_lin, attention.v_lin)

    def recipe(self, index: int) -> LayerRecipe | None:
        """The layer as data."""
        layer = self.base.transformer.layer[index]
        attention, ffn = layer.attention, layer.ffn
        if not as_data.known(ffn) or not as_data.dropout(ffn.dropout):
            return None
        return as_data.layer(
            linears={
                "query": attention.q_lin,
                "key": attention.k_lin,
                "value": attention.v_lin,
                "output": attention.out_lin,
                "ff_in": ffn.lin1,
                "ff_out": ffn.lin2,
            },
            attention_norm=layer.sa_layer_norm,
            ff_norm=layer.output_layer_norm,
            activation=ffn.activation,
            heads=self.num_heads,
            scale=self.scaling(index),
        )

    def embedding_recipe(self) -> EmbeddingRecipe | None:
        """The embeddings as data."""
        parts = self.base.embeddings
        if not as_data.known(parts) or not as_data.dropout(parts.dropout):
            return None
        return as_data.embedding(
            tokens=parts.word_embeddings, places=parts.position_embeddings, norm=parts.LayerNorm
        )

    def top_recipe(self) -> HeadRecipe | None:
        """The classifier of words or texts as data."""
        model: Any = self.model
        if not self.of_texts:
            return as_data.head(model.classifier, drops=(model.dropout,))
        dense = model.pre_classifier
        return as_data.head(model.classifier, dense, torch.relu, drops=(model.dropout,))

    def classify_text(self, rows: Tensor) -> Tensor:
        """Dense layer, dropout, classifier."""
        model: Any = self.model
        return model.classifier(model.dropout(model.pre_classifier(rows).relu()))

    @classmethod
    def example_config(cls, model_type: str) -> PretrainedConfig:
        """Four layers of width 32."""
        return AutoConfig.for_model(
            model_type,
            vocab_size=120,
            dim=32,
            n_layers=4,
            n_heads=4,
            hidden_dim=48,
            max_position_embeddings=66,
        )
