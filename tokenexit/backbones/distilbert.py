"""DistilBERT."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, PretrainedConfig

from tokenexit.backbones import as_data
from tokenexit.backbones.adapter import of_config
from tokenexit.backbones.base import BACKBONES
from tokenexit.backbones.projected import Parts, Projected
from tokenexit.backbones.recipe import EmbeddingRecipe, HeadRecipe


@BACKBONES.register("distilbert")
class DistilBertBackbone(Projected):
    """Post-norm encoder with absolute positions and no segments."""

    stack = "transformer.layer"
    attention = "attention"
    query_key_value = ("q_lin", "k_lin", "v_lin")
    absorbs = True
    num_neurons = of_config("hidden_dim")

    def embed(self, input_ids: Tensor, positions: Tensor, segments: Tensor | None = None) -> Tensor:
        """Word and position embeddings."""
        return self.base.embeddings(input_ids, position_ids=positions)

    def after_attention(self, index: int, rows: Tensor, attended: Tensor) -> Tensor:
        """Output projection, residual and norm."""
        layer = self._layer(index)
        return layer.sa_layer_norm(layer.attention.out_lin(attended) + rows)

    def feed_forward(self, index: int, rows: Tensor) -> Tensor:
        """Feed-forward block, with residual and norm."""
        layer = self._layer(index)
        # Not `ffn` itself: its chunking cuts along dimension 1, which rows do not have.
        return layer.output_layer_norm(layer.ffn.ff_chunk(rows) + rows)

    def in_pieces(self) -> list[nn.Module]:
        """Attention, and the feed-forward block."""
        return [*super().in_pieces(), *(layer.ffn for layer in self.base.transformer.layer)]

    def _dense(self, index: int) -> tuple[Any, Any, Any]:
        layer = self._layer(index)
        return layer.attention.out_lin, layer.ffn.lin1, layer.ffn.lin2

    def _parts(self, index: int) -> Parts | None:
        layer = self._layer(index)
        ffn = layer.ffn
        if not as_data.known(ffn) or not as_data.dropout(ffn.dropout):
            return None
        norms = layer.sa_layer_norm, layer.output_layer_norm
        return Parts(self._dense(index), norms, ffn.activation)

    def embedding_recipe(self) -> EmbeddingRecipe | None:
        """The embeddings as data."""
        return as_data.embedding_like_bert(self.base.embeddings)

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
        sizes = {"dim": 32, "n_layers": 4, "n_heads": 4, "hidden_dim": 48}
        return AutoConfig.for_model(model_type, vocab_size=120, max_position_embeddings=66, **sizes)
