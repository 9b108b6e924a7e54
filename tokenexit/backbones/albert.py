"""ALBERT: a few layers of weights, run again and again."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from torch import Tensor
from transformers import AutoConfig, PretrainedConfig

from tokenexit.backbones import as_data
from tokenexit.backbones.base import BACKBONES
from tokenexit.backbones.projected import Parts, Projected, tiny
from tokenexit.backbones.recipe import EmbeddingRecipe, HeadRecipe


@BACKBONES.register("albert")
class AlbertBackbone(Projected):
    """Post-norm encoder with absolute positions and shared weights.

    Each of the ``inner_group_num`` layers inside a group counts as a layer of its own.
    """

    attention = "attention"
    query_key_value = ("query", "key", "value")
    dropout = "attention_dropout"
    absorbs = True

    @cached_property
    def num_layers(self) -> int:
        """Depth of the network, repeated layers counted each time."""
        return int(self.config.num_hidden_layers) * int(self.config.inner_group_num)

    def _layer(self, index: int) -> Any:
        repeat, inner = divmod(index, int(self.config.inner_group_num))
        # The encoder divides in floats; where groups do not fit evenly, so must we.
        group = int(repeat / (self.config.num_hidden_layers / self.config.num_hidden_groups))
        return self.base.encoder.albert_layer_groups[group].albert_layers[inner]

    def embed(self, input_ids: Tensor, positions: Tensor, segments: Tensor | None = None) -> Tensor:
        """Word, position and segment embeddings, widened to the width of the layers."""
        hidden = self._embeddings(input_ids, positions, segments)
        return self.base.encoder.embedding_hidden_mapping_in(hidden)

    def after_attention(self, index: int, rows: Tensor, attended: Tensor) -> Tensor:
        """Output projection, residual and norm."""
        attention = self._layer(index).attention
        return attention.LayerNorm(rows + attention.output_dropout(attention.dense(attended)))

    def feed_forward(self, index: int, rows: Tensor) -> Tensor:
        """Feed-forward block, with residual and norm."""
        layer = self._layer(index)
        return layer.full_layer_layer_norm(layer.ff_chunk(rows) + rows)

    def _dense(self, index: int) -> tuple[Any, Any, Any]:
        layer = self._layer(index)
        return layer.attention.dense, layer.ffn, layer.ffn_output

    def _parts(self, index: int) -> Parts | None:
        layer = self._layer(index)
        attention = layer.attention
        if not as_data.known(layer) or not as_data.dropout(attention.output_dropout, layer.dropout):
            return None
        norms = attention.LayerNorm, layer.full_layer_layer_norm
        return Parts(self._dense(index), norms, layer.activation)

    def embedding_recipe(self) -> EmbeddingRecipe | None:
        """The embeddings as data."""
        project = self.base.encoder.embedding_hidden_mapping_in
        return as_data.embedding_like_bert(self.base.embeddings, project=project)

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
        more = {"embedding_size": 16, "num_hidden_groups": 2}
        dropouts = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
        return AutoConfig.for_model(model_type, **tiny(**more, **dropouts))
