"""Encoders whose attention has one matrix each for queries, keys and values, as most have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers.masking_utils import create_bidirectional_mask

from tokenexit.backbones import as_data
from tokenexit.backbones.base import Absorbable, Backbone, projections
from tokenexit.backbones.channels import Channels, ChannelsOfLayer
from tokenexit.backbones.inference_modules import project
from tokenexit.backbones.layer_cost import LayerCost
from tokenexit.backbones.recipe import LayerRecipe


@dataclass(frozen=True)
class Parts:
    """Modules of a layer beside its projections, for its recipe.

    Attributes:
        dense: Output projection of the attention, and first and last matrix of the feed-forward
            block.
        norms: Of the attention and of the feed-forward block.
        activation: What is called on the wide rows.
        gate: What these are multiplied with, if anything.
        pre_norm: Whether norms come first.
        position_bias: As in ``LayerRecipe``.
    """

    dense: tuple[Any, Any, Any]
    norms: tuple[Any, Any]
    activation: Any
    gate: Any = None
    pre_norm: bool = False
    position_bias: Callable[[int], Tensor] | None = None


class Projected(Backbone):
    """A family that says where its modules are; what is done with them is written here."""

    attention: ClassVar[str]
    """Path of the attention in a layer."""

    query_key_value: ClassVar[tuple[str, str, str]]
    """Names of its projections."""

    dropout: ClassVar[str] = "dropout"
    """Name of its dropout on weights: a module, or a number that counts while it is trained."""

    absorbs: ClassVar[bool] = False
    """Whether states may be read unprojected; not where positions enter scores."""

    @property
    def capturable(self) -> bool:
        """Yes."""
        return True

    def _layer(self, index: int) -> Any:
        """The model's own layer."""
        return attrgetter(self.stack)(self.base)[index]

    def _attention(self, index: int) -> Any:
        return attrgetter(self.attention)(self._layer(index))

    def _projections(self, index: int) -> tuple[Any, Any, Any]:
        """Of queries, keys and values."""
        return attrgetter(*self.query_key_value)(self._attention(index))

    def _dense(self, index: int) -> tuple[Any, Any, Any] | None:
        """As ``Parts.dense``, of families whose layers may be sliced; else None."""
        return None

    def _parts(self, index: int) -> Parts | None:
        """The other modules; None where only they know what they do."""
        return None

    def _asked(self, index: int, rows: Tensor) -> Tensor:
        """Rows as the projections read them; pre-norm families apply their norm here."""
        return rows

    def _embeddings(self, ids: Tensor, positions: Tensor, segments: Tensor | None) -> Tensor:
        """Of words, places and segments, which are all the first where none are given."""
        kinds = torch.zeros_like(ids) if segments is None else segments
        return self.base.embeddings(input_ids=ids, position_ids=positions, token_type_ids=kinds)

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
        return self._projections(index)[0](self._asked(index, rows))

    def keys_values(self, index: int, rows: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Key and value projections."""
        _, key, value = self._projections(index)
        keys, values = project(self._asked(index, rows), key, value)
        return keys, values

    def attention_dropout(self, index: int) -> float:
        """The layer's dropout on attention weights while training."""
        attention = self._attention(index)
        dropout = getattr(attention, self.dropout)
        training = getattr(dropout, "training", attention.training)
        return float(getattr(dropout, "p", dropout)) if training else 0.0

    def cost(self, index: int) -> LayerCost:
        """Multiply-accumulates of layer ``index``, of whose feed-forward block two matrices."""
        width = self.hidden_size
        return LayerCost.of(width, 2 * width * self.neurons(index), self.inner(index))

    def absorbable(self, index: int) -> Absorbable | None:
        """Key and value weights of the layer."""
        return projections(*self._projections(index)[1:]) if self.absorbs else None

    def channels(self, index: int) -> ChannelsOfLayer:
        """By the projections, and by the feed-forward block."""
        dense = self._dense(index)
        if dense is None:
            return super().channels(index)
        output, wide, last = dense
        heads = Channels(self._projections(index), output, self.hidden_size // self.num_heads)
        return ChannelsOfLayer(heads, Channels((wide,), last))

    def recipe(self, index: int) -> LayerRecipe | None:
        """The layer as data."""
        parts = self._parts(index)
        if parts is None:
            return None
        names = ("query", "key", "value", "output", "ff_in", "ff_out")
        linears: dict[str, Any] = dict(
            zip(names, (*self._projections(index), *parts.dense), strict=True)
        )
        attention_norm, ff_norm = parts.norms
        return as_data.layer(
            linears if parts.gate is None else {**linears, "gate": parts.gate},
            attention_norm=attention_norm,
            ff_norm=ff_norm,
            activation=parts.activation,
            heads=self.heads(index),
            scale=self.scaling(index),
            pre_norm=parts.pre_norm,
            position_bias=parts.position_bias,
        )


def tiny(**more: Any) -> dict[str, Any]:
    """Settings of a configuration for tests: four layers, width 32."""
    return {
        "vocab_size": 120,
        "hidden_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": 66,
        **more,
    }
