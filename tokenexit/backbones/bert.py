"""BERT and the families that share its modules: RoBERTa, XLM-R, CamemBERT, ELECTRA."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, PretrainedConfig
from transformers.masking_utils import create_bidirectional_mask

from tokenexit.backbones import as_data
from tokenexit.backbones.base import BACKBONES, Absorbable, Backbone, LayerCost, projections
from tokenexit.backbones.lean import apart
from tokenexit.backbones.recipe import EmbeddingRecipe, HeadRecipe, LayerRecipe
from tokenexit.backbones.reduced import Reduced
from tokenexit.backbones.twin import unheard

_FROM_PADDING = ("roberta", "xlm-roberta", "camembert")


@BACKBONES.register("bert", "roberta", "xlm-roberta", "camembert", "electra")
class BertBackbone(Backbone):
    """Post-norm encoder with absolute positions."""

    stack = "encoder.layer"

    @property
    def capturable(self) -> bool:
        """Yes."""
        return True

    def _layer(self, index: int) -> Any:
        return self.base.encoder.layer[index]

    def _attention(self, index: int) -> Any:
        return self._layer(index).attention.self

    @cached_property
    def _first_position(self) -> int:
        # The RoBERTa line counts positions from the padding id onwards.
        if self.config.model_type in _FROM_PADDING:
            return self._padding + 1
        return 0

    @property
    def _padding(self) -> int:
        # Not the configuration's, which may be changed once the embeddings are there.
        return int(self.base.embeddings.padding_idx)

    @property
    def max_length(self) -> int:
        """Longest text in tokens, special tokens included."""
        return int(self.config.max_position_embeddings) - self._first_position

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
        """Word, position and segment embeddings."""
        if self._first_position:
            positions = self._first_position + _counted(input_ids, positions, self._padding)
        hidden = self.base.embeddings(
            input_ids=input_ids,
            position_ids=positions,
            token_type_ids=torch.zeros_like(input_ids) if segments is None else segments,
        )
        if hasattr(self.base, "embeddings_project"):  # ELECTRA with narrow embeddings
            hidden = self.base.embeddings_project(hidden)
        return hidden

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
        return self._attention(index).query(rows)

    def keys_values(self, index: int, rows: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Key and value projections."""
        attention = self._attention(index)
        keys, values = apart(rows, attention.key, attention.value)
        return keys, values

    def queries_keys_values(
        self, index: int, rows: Tensor, positions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """All three projections; one product where rows are quantised for it."""
        attention = self._attention(index)
        query, key, value = apart(rows, attention.query, attention.key, attention.value)
        return query, key, value

    def joint(self, index: int) -> bool:
        """Where torch multiplies in few bits: each row is quantised for the product."""
        attention = self._attention(index)
        three = attention.query, attention.key, attention.value
        return all(isinstance(part, Reduced) and not part.by_kernels for part in three)

    def combine(self, index: int, rows: Tensor, attended: Tensor) -> Tensor:
        """Output projection and feed-forward block, each with residual and norm."""
        layer = self._layer(index)
        return layer.feed_forward_chunk(layer.attention.output(attended, rows))

    def attention_dropout(self, index: int) -> float:
        """The layer's dropout on attention weights while training."""
        dropout = self._attention(index).dropout
        return float(dropout.p) if dropout.training else 0.0

    def lean(self, module: Any) -> nn.Module | None:
        """Dense layers in few bits with what follows them, in fewer calls of torch."""
        dense = getattr(module, "dense", None)
        if not isinstance(dense, Reduced) or dense.by_kernels:  # which know the layer as it is
            return None
        if not all(map(unheard, module.modules())):
            return None
        name = type(module).__name__
        if name.endswith("Intermediate") and hasattr(module, "intermediate_act_fn"):
            return _Intermediate(dense, module.intermediate_act_fn)
        if name.endswith("Output") and type(getattr(module, "LayerNorm", None)) is nn.LayerNorm:
            return _Output(dense, module.dropout, module.LayerNorm)
        return None

    def absorbable(self, index: int) -> Absorbable | None:
        """Key and value weights of the layer."""
        attention = self._attention(index)
        return projections(attention.key, attention.value)

    def recipe(self, index: int) -> LayerRecipe | None:
        """The layer as data."""
        layer = self._layer(index)
        attention, inner = layer.attention, layer.attention.self
        owns = (attention.output, layer.intermediate, layer.output)
        if not as_data.known(*owns) or not as_data.dropout(
            attention.output.dropout, layer.output.dropout
        ):
            return None
        return as_data.layer(
            linears={
                "query": inner.query,
                "key": inner.key,
                "value": inner.value,
                "output": attention.output.dense,
                "ff_in": layer.intermediate.dense,
                "ff_out": layer.output.dense,
            },
            attention_norm=attention.output.LayerNorm,
            ff_norm=layer.output.LayerNorm,
            activation=layer.intermediate.intermediate_act_fn,
            heads=self.num_heads,
            scale=self.scaling(index),
        )

    def embedding_recipe(self) -> EmbeddingRecipe | None:
        """The embeddings as data."""
        parts = self.base.embeddings
        if not as_data.known(parts) or not as_data.dropout(parts.dropout):
            return None
        project = getattr(self.base, "embeddings_project", None)
        return as_data.embedding(
            tokens=parts.word_embeddings,
            places=parts.position_embeddings,
            segments=parts.token_type_embeddings,
            norm=parts.LayerNorm,
            project=project,
            first_place=self._first_position,
            padding=self._padding if self._first_position else None,
        )

    def top_recipe(self) -> HeadRecipe | None:
        """The classifier of words or texts as data."""
        model: Any = self.model
        top = model.classifier
        if not self.of_texts:
            return as_data.head(top, drops=(model.dropout,))
        if self.config.model_type == "bert":
            pooler = self.base.pooler
            if not as_data.known(pooler):
                return None
            return as_data.head(top, pooler.dense, pooler.activation, drops=(model.dropout,))
        if not as_data.known(top):
            return None
        then = getattr(top, "activation", torch.tanh)
        return as_data.head(top.out_proj, top.dense, then, drops=(top.dropout,))

    def classify_text(self, rows: Tensor) -> Tensor:
        """BERT pools first; the others' head does so itself."""
        if self.config.model_type != "bert":
            return super().classify_text(rows)
        model: Any = self.model
        return model.classifier(model.dropout(self.base.pooler(rows[:, None])))

    @classmethod
    def example_config(cls, model_type: str) -> PretrainedConfig:
        """Four layers of width 32."""
        extra = {"embedding_size": 16} if model_type == "electra" else {}
        return AutoConfig.for_model(
            model_type,
            vocab_size=120,
            hidden_size=32,
            num_hidden_layers=4,
            num_attention_heads=4,
            intermediate_size=48,
            max_position_embeddings=66,
            pad_token_id=1 if model_type in _FROM_PADDING else 0,
            **extra,
        )


class _Intermediate(nn.Module):
    """A dense layer and its activation."""

    def __init__(self, dense: Reduced, act: Any) -> None:
        super().__init__()
        self.training = False
        self.dense, self.intermediate_act_fn = dense, act
        self.__dict__.update(self._modules)

    def __call__(self, rows: Tensor) -> Tensor:
        return self.intermediate_act_fn(self.dense(rows))


class _Output(nn.Module):
    """A dense layer, residual and norm; dropout is none in inference."""

    def __init__(self, dense: Reduced, drop: Any, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.training = False
        self.dense, self.dropout, self.LayerNorm = dense, drop, norm
        self.__dict__.update(self._modules)

    def __call__(self, read: Tensor, rows: Tensor) -> Tensor:
        norm = self.LayerNorm
        made = self.dense.plus(read, rows)
        return torch.layer_norm(made, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def _counted(input_ids: Tensor, positions: Tensor, padding: int) -> Tensor:
    """Places without those of padding tokens, which the RoBERTa line passes over, at -1.

    A text may hold one: nothing keeps people from writing ``<pad>``.
    """
    found = input_ids == padding
    before = found.cumsum(dim=-1)
    start = torch.arange(input_ids.shape[-1], device=input_ids.device) - positions
    elsewhere = (before - found.long()).gather(-1, start.expand_as(before))
    return (positions - (before - elsewhere)).masked_fill(found, -1)
