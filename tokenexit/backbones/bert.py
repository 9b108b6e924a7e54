"""BERT and the families that share its modules: RoBERTa, XLM-R, CamemBERT, ELECTRA."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, PretrainedConfig

from tokenexit.backbones import as_data
from tokenexit.backbones.base import BACKBONES
from tokenexit.backbones.inference_modules import project
from tokenexit.backbones.projected import Parts, Projected, tiny
from tokenexit.backbones.recipe import EmbeddingRecipe, HeadRecipe
from tokenexit.backbones.reduced import Reduced
from tokenexit.backbones.twin import unheard

_FROM_PADDING = ("roberta", "xlm-roberta", "camembert")


@BACKBONES.register("bert", "roberta", "xlm-roberta", "camembert", "electra")
class BertBackbone(Projected):
    """Post-norm encoder with absolute positions."""

    stack = "encoder.layer"
    attention = "attention.self"
    query_key_value = ("query", "key", "value")
    absorbs = True

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

    def embed(self, input_ids: Tensor, positions: Tensor, segments: Tensor | None = None) -> Tensor:
        """Word, position and segment embeddings."""
        if self._first_position:
            positions = self._first_position + _counted(input_ids, positions, self._padding)
        hidden = self._embeddings(input_ids, positions, segments)
        if hasattr(self.base, "embeddings_project"):  # ELECTRA with narrow embeddings
            hidden = self.base.embeddings_project(hidden)
        return hidden

    def queries_keys_values(
        self, index: int, rows: Tensor, positions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """All three projections; one product where rows are quantised for it."""
        query, key, value = project(rows, *self._projections(index))
        return query, key, value

    def joint(self, index: int) -> bool:
        """Where torch multiplies in few bits: each row is quantised for the product."""
        three = self._projections(index)
        return all(isinstance(part, Reduced) and not part.by_kernels for part in three)

    def after_attention(self, index: int, rows: Tensor, attended: Tensor) -> Tensor:
        """Output projection, residual and norm."""
        return self._layer(index).attention.output(attended, rows)

    def feed_forward(self, index: int, rows: Tensor) -> Tensor:
        """Feed-forward block, with residual and norm."""
        return self._layer(index).feed_forward_chunk(rows)

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

    def _dense(self, index: int) -> tuple[Any, Any, Any]:
        layer = self._layer(index)
        return layer.attention.output.dense, layer.intermediate.dense, layer.output.dense

    def _parts(self, index: int) -> Parts | None:
        layer = self._layer(index)
        output, wide, last = layer.attention.output, layer.intermediate, layer.output
        if not as_data.known(output, wide, last):
            return None
        if not as_data.dropout(output.dropout, last.dropout):
            return None
        dense = self._dense(index)
        return Parts(dense, (output.LayerNorm, last.LayerNorm), wide.intermediate_act_fn)

    def embedding_recipe(self) -> EmbeddingRecipe | None:
        """The embeddings as data."""
        return as_data.embedding_like_bert(
            self.base.embeddings,
            project=getattr(self.base, "embeddings_project", None),
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
        padding = 1 if model_type in _FROM_PADDING else 0
        return AutoConfig.for_model(model_type, **tiny(pad_token_id=padding, **extra))


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
