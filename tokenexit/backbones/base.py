"""A backbone: how one layer of a transformers family runs on chosen rows.

An adapter holds an unmodified transformers model and calls its own sub-modules, so that
weights, dropout and numerics stay the model's. It offers two views of the same layer:

* ``layer``: the model's own layer on padded batches ``[B, M, H]`` (the reference);
* ``queries``, ``keys_values``, ``combine``: the same layer in pieces, each on any set of
  rows ``[T, H]``, between which the engine does the attention.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor, nn
from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING

from tokenexit.backbones.adapter import Adapter, of_config
from tokenexit.backbones.channels import ChannelsOfLayer
from tokenexit.backbones.inference_modules import is_linear
from tokenexit.backbones.layer_cost import LayerCost
from tokenexit.backbones.recipe import EmbeddingRecipe, HeadRecipe, LayerRecipe, Norm
from tokenexit.backbones.reduced import Reduced
from tokenexit.errors import UserError
from tokenexit.registry import Registry
from tokenexit.widths import Widths, count_of

BACKBONES: Registry[Backbone] = Registry("model type", "tokenexit.backbones")


@dataclass(frozen=True)
class Absorbable:
    """Key and value projections of a layer, for reading unprojected states.

    Attributes:
        key_weight: ``[H, H]``; the bias adds the same to every score of a query, and so
            cancels in the softmax.
        value_weight: ``[H, H]``.
        value_bias: ``[H]`` or None.
    """

    key_weight: Tensor
    value_weight: Tensor
    value_bias: Tensor | None


def projections(key: Any, value: Any) -> Absorbable | None:
    """The projections of a layer, unless more is done there than a product, as by an adapter."""
    return Absorbable(key.weight, value.weight, value.bias) if is_linear(key, value) else None


class Backbone(Adapter):
    """One family of encoders.

    Subclasses are registered under the ``model_type`` of every configuration they serve, and
    name in ``stack`` where in ``base`` their layers are.

    Args:
        model: A transformers model with a head that classifies tokens or texts, left unmodified.
    """

    widths: Widths | None = None
    """What its layers have kept, with an entry a layer, if they have been sliced."""

    selected: float | None = None
    """How sure selectors must be of a head or neuron of a text for it to be computed, if asked."""

    @property
    def base(self) -> Any:
        """The model without its head."""
        return self.model.base_model

    @property
    def reducible(self) -> nn.Module:
        """The part of the model whose linear layers may be computed in fewer bits."""
        return self.base

    # --- facts -------------------------------------------------------------------------

    num_layers = of_config("num_hidden_layers")
    """Depth of the network."""

    hidden_size = of_config("hidden_size")
    """Width of the states, ``H``."""

    num_heads = of_config("num_attention_heads")
    """Attention heads of a whole layer; the width of one is ``H / num_heads``."""

    num_neurons = of_config("intermediate_size")
    """Inner width of a whole feed-forward block."""

    def heads(self, index: int) -> int:
        """Attention heads that layer ``index`` (from 0) has."""
        return self.num_heads if self.widths is None else count_of(self.widths.of_heads[index])

    def inner(self, index: int) -> int:
        """Width of these together."""
        return self.heads(index) * (self.hidden_size // self.num_heads)

    def neurons(self, index: int) -> int:
        """Inner width of the feed-forward block of layer ``index``."""
        return self.num_neurons if self.widths is None else count_of(self.widths.of_neurons[index])

    @property
    def max_length(self) -> int:
        """Longest text in tokens, special tokens included."""
        return int(self.config.max_position_embeddings)

    @property
    def eager(self) -> bool:
        """Whether the model was asked for eager attention rather than sdpa."""
        return self.base.config._attn_implementation == "eager"

    @cached_property
    def row_by_row(self) -> bool:
        """Whether what a layer makes of a row depends on no other row but through attention.

        Dynamic quantisation chooses one scale for all rows that it sees together.
        """
        kinds = {type(module).__module__ for module in self.model.modules()}
        return not any(".quantized." in kind for kind in kinds)

    @cached_property
    def rounds(self) -> bool:
        """Whether states are rounded to few bits before products: the last bit may matter."""
        return any(isinstance(module, Reduced) for module in self.model.modules())

    @abstractmethod
    def cost(self, index: int) -> LayerCost:
        """Multiply-accumulates of layer ``index`` (from 0)."""

    def in_pieces(self) -> list[nn.Module]:
        """The model's modules of attention."""
        return [
            module
            for name, module in self.base.named_modules()
            if name.rpartition(".")[2] in ("attention", "attn", "self")
        ]

    # --- the layer as the model runs it ---------------------------------------------------

    @abstractmethod
    def embed(self, input_ids: Tensor, positions: Tensor, segments: Tensor | None = None) -> Tensor:
        """Embed tokens: ``[B, M]`` each (or ``[1, T]`` packed) give ``[B, M, H]``.

        Args:
            input_ids: Vocabulary ids.
            positions: Place of each token in its own text, from 0.
            segments: Which of two sentences each token belongs to, where the tokenizer says so.
        """

    @abstractmethod
    def context(self, hidden: Tensor, attention_mask: Tensor) -> Any:
        """What ``layer`` needs beside the states: masks, rotary tables.

        Args:
            hidden: Embedded batch, ``[B, M, H]``.
            attention_mask: 1 where a token may be attended to, ``[B, M]``.
        """

    @abstractmethod
    def layer(self, index: int, hidden: Tensor, context: Any) -> Tensor:
        """The model's own layer ``index``, ``[B, M, H] -> [B, M, H]``."""

    # --- the same layer in pieces, on rows -------------------------------------------------

    @abstractmethod
    def queries(self, index: int, rows: Tensor, positions: Tensor) -> Tensor:
        """Queries of some rows, ``[T, H] -> [T, H]``; ``positions`` is ``[T]``."""

    @abstractmethod
    def keys_values(self, index: int, rows: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of some rows, ``[T, H] -> ([T, H], [T, H])``."""

    def queries_keys_values(
        self, index: int, rows: Tensor, positions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """All three of the same rows, where that takes fewer products than one by one."""
        return self.queries(index, rows, positions), *self.keys_values(index, rows, positions)

    def joint(self, index: int) -> bool:
        """Whether ``queries_keys_values`` takes one product, and equals those one by one."""
        return False

    def combine(self, index: int, rows: Tensor, attended: Tensor) -> Tensor:
        """Everything after the attention: output projection, residuals, norms, feed-forward.

        A family whose layer has no place between its two blocks writes this instead of those.

        Args:
            index: Layer, from 0.
            rows: States that entered the layer, ``[T, H]``.
            attended: What the attention read for them, heads joined, ``[T, H]``.
        """
        return self.feed_forward(index, self.after_attention(index, rows, attended))

    def after_attention(self, index: int, rows: Tensor, attended: Tensor) -> Tensor:
        """The first part of ``combine``: rows between attention and feed-forward block.

        Raises:
            UserError: The family does not say.
        """
        raise UserError(
            f"{type(self).__name__} does not say what lies between attention and feed-forward "
            "block: define after_attention and feed_forward, or combine alone where nobody asks."
        )

    def feed_forward(self, index: int, rows: Tensor) -> Tensor:
        """The second part of ``combine``, on what ``after_attention`` gave.

        Raises:
            UserError: The family does not say.
        """
        raise UserError(f"{type(self).__name__} has after_attention and lacks feed_forward.")

    def scaling(self, index: int) -> float:
        """Factor on the scores before the softmax."""
        return (self.hidden_size // self.num_heads) ** -0.5

    def bias(
        self, index: int, queries: Tensor, keys: Tensor, query_pos: Tensor, key_pos: Tensor
    ) -> Tensor | None:
        """What a family adds to the scaled scores, ``[S, heads or 1, A, M]``, or None.

        Args:
            index: Layer, from 0.
            queries: ``[S, heads, A, H / heads]``.
            keys: ``[S, heads, M, H / heads]``.
            query_pos: ``[S, A]``, places of the queries in their texts.
            key_pos: ``[S, M]``, places of the keys.
        """
        return None

    def absorbable(self, index: int) -> Absorbable | None:
        """Projections for reading unprojected states, or None where positions enter scores.

        A family that has a ``bias`` must give None: it is no part of what is read so.
        """
        return None

    def channels(self, index: int) -> ChannelsOfLayer:
        """Where the heads and the neurons of layer ``index`` lie in its weights.

        Raises:
            UserError: The family does not say so; its layers are not sliced.
        """
        raise UserError(
            f"Models of type {self.config.model_type!r} do not say where their heads and neurons "
            "lie, so that widths cannot slice them: leave widths out."
        )

    # --- the same as data, for engines that compute it themselves ----------------------------

    def recipe(self, index: int) -> LayerRecipe | None:
        """What layer ``index`` is made of; None where only its modules know what they do."""
        return None

    def embedding_recipe(self) -> EmbeddingRecipe | None:
        """What ``embed`` is made of, likewise."""
        return None

    def final_norm(self) -> Norm | None:
        """The norm that ``finish`` is; None where it does nothing."""
        return None

    def top_recipe(self) -> HeadRecipe | None:
        """What ``classify`` is made of, likewise."""
        return None

    # --- the top ---------------------------------------------------------------------------

    def finish(self, rows: Tensor) -> Tensor:
        """States as a head sees them; pre-norm families apply their final norm here."""
        return rows

    @cached_property
    def of_texts(self) -> bool:
        """Whether the model's own head classifies texts, by their first token, not tokens."""
        kind: Any = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING.get(type(self.config), ())
        return isinstance(self.model, kind)

    def classify(self, rows: Tensor) -> Tensor:
        """The model's own head on finished rows, ``[T, H] -> [T, C]``."""
        model: Any = self.model
        return self.classify_text(rows) if self.of_texts else model.classifier(model.dropout(rows))

    def classify_text(self, rows: Tensor) -> Tensor:
        """The head of a text classifier on the first tokens of texts, ``[N, H] -> [N, C]``."""
        model: Any = self.model
        return model.classifier(rows[:, None])

    def final_head(self) -> nn.Module:
        """The module whose weights ``classify`` uses, to be trained with the exit heads."""
        model: Any = self.model
        return model.classifier

    def classify_cost(self) -> int:
        """Multiply-accumulates of ``classify``, per row."""
        dense = self.hidden_size**2 if self.of_texts else 0
        return dense + self.hidden_size * int(self.config.num_labels)


def check_depth(base: nn.Module, stack: str, said: int) -> None:
    """Refuse a network whose configuration speaks of more layers, or fewer.

    Args:
        base: Has the layers.
        stack: Where, as a path; empty where that says nothing.
        said: How many there should be.

    Raises:
        UserError: Says how many there are.
    """
    layers: Any = base.get_submodule(stack) if stack else ()
    held = len(layers)
    if stack and held != said:
        raise UserError(
            f"The network has {held} layers and its configuration says {said}, as after layers "
            "were taken out or put in: write their number into the configuration as well, before "
            "exits are added."
        )


def check_sound(backbone: Backbone) -> None:
    """Refuse an adapter whose scores would lack what it adds to them, or layers it passes by.

    Raises:
        UserError: Says which.
    """
    check_depth(backbone.base, backbone.stack, backbone.num_layers)
    adds = type(backbone).bias is not Backbone.bias
    if adds and any(backbone.absorbable(index) for index in range(backbone.num_layers)):
        raise UserError(
            f"{type(backbone).__name__} has both bias and absorbable: states that are read "
            "unprojected are scored without the bias. Let absorbable return None."
        )
