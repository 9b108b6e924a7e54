"""A decoder: how one layer of an encoder-decoder family runs on chosen rows.

An adapter holds an unmodified transformers model and calls its own sub-modules, so that
weights, dropout and numerics stay the model's. It cuts a decoder layer into pieces that work
on any set of rows ``[N, H]``; the engine does the attention between them, because it alone
knows which rows are there and what their sequences have cached.

A layer is, in this order::

    query, keys_values = self_projections(i, rows)
    rows = after_self(i, rows, read)             # output projection, residual, norm
    query = cross_query(i, rows)
    rows = after_cross(i, rows, read)
    rows = feed_forward(i, rows)
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from tokenexit.backbones.adapter import Adapter, of_config
from tokenexit.backbones.inference_modules import is_linear
from tokenexit.backbones.reduced import Reduced
from tokenexit.decoders.recipe import DecoderRecipe
from tokenexit.decoders.source_encoder import SourceEncoder
from tokenexit.registry import Registry

DECODERS: Registry[Decoder] = Registry("encoder-decoder type", "tokenexit.decoders")


@dataclass(frozen=True)
class DecoderCost:
    """Multiply-accumulates of one decoder layer.

    Attributes:
        query: Of a row that is computed: its two query projections.
        key_value: Of a row that later rows read: its key and value projections.
        cross_key_value: Of a row of the source: its key and value projections.
        combine: Of a row that is computed: attention outputs and feed-forward block.
        pair: Of one query meeting one key: scores and read-out over all heads.
    """

    query: int
    key_value: int
    cross_key_value: int
    combine: int
    pair: int


class Decoder(Adapter):
    """One family of encoder-decoders.

    Subclasses are registered under the ``model_type`` of every configuration they serve, and
    name in ``stack`` where in the decoder its layers are. ``H`` is the width of the network, ``I``
    that of all heads together (T5's may differ), ``V`` the vocabulary.

    Args:
        model: A transformers model for conditional generation, left unmodified.
    """

    @cached_property
    def _stack(self) -> Any:
        return self.model.get_decoder()

    # --- facts -------------------------------------------------------------------------

    num_layers = of_config("decoder_layers")
    """Depth of the decoder; that of the encoder may differ."""

    hidden_size = of_config("d_model")
    """Width of the network, ``H``."""

    num_heads = of_config("decoder_attention_heads")
    """Attention heads of a decoder layer; an encoder layer may have others."""

    @cached_property
    @abstractmethod
    def inner_size(self) -> int:
        """Width of all heads together, ``I``."""

    @property
    def vocab_size(self) -> int:
        """Entries of the vocabulary, ``V``."""
        head: Any = self.final_head()
        return int(head.out_features)  # also of heads that have no weight to look at

    @cached_property
    @abstractmethod
    def max_length(self) -> int | None:
        """Longest text in tokens, on either side; None where positions are relative."""

    @cached_property
    @abstractmethod
    def scaling(self) -> float:
        """Factor on the attention scores before the softmax."""

    @abstractmethod
    def cost(self) -> DecoderCost:
        """Multiply-accumulates of a decoder layer."""

    @abstractmethod
    def encoder_macs(self, length: int) -> int:
        """Multiply-accumulates of the whole encoder on one source of ``length`` tokens."""

    def vocabulary_cost(self) -> int:
        """Multiply-accumulates of the vocabulary head, per row."""
        return self.hidden_size * self.vocab_size

    def in_pieces(self) -> list[nn.Module]:
        """The modules of attention in the decoder."""
        own = ("SelfAttention", "EncDecAttention", "self_attn", "encoder_attn")
        stack: Any = self.model.get_decoder()
        return [part for name, part in stack.named_modules() if name.endswith(own)]

    def recipe(self) -> DecoderRecipe | None:
        """The decoder as data; None if it is anything but the family's own modules."""
        return None

    # --- source --------------------------------------------------------------------------

    def encode(
        self, input_ids: Tensor, attention_mask: Tensor, padded: bool | None = None
    ) -> Tensor:
        """The model's own encoder, ``[B, S] -> [B, S, H]``.

        Args:
            input_ids: ``[B, S]``.
            attention_mask: ``[B, S]``, 1 for real tokens.
            padded: Whether any source is padded, where the host knows: transformers would ask the
                device, and wait for it. None to let it ask.
        """
        encoder: Any = self.model.get_encoder()
        mask: Tensor | None = attention_mask
        if padded is not None:
            mask = self._spread(attention_mask) if padded else None
        return encoder(input_ids=input_ids, attention_mask=mask).last_hidden_state

    def _spread(self, mask: Tensor) -> Tensor:
        """A mask as transformers would make it for its attention, ``[B, 1, S, S]``."""
        kind = self.config._attn_implementation
        if kind not in ("eager", "sdpa"):
            return mask
        real = mask.bool()[:, None, None].expand(-1, -1, mask.shape[1], -1)
        if kind == "sdpa":
            return real
        hidden = torch.zeros_like(real, dtype=self.model.dtype)
        return hidden.masked_fill(~real, torch.finfo(hidden.dtype).min)

    @abstractmethod
    def source_encoder(self) -> SourceEncoder:
        """The encoder in pieces, for tokens of the source that leave it early."""

    # --- the layer in pieces, on rows ------------------------------------------------------

    @abstractmethod
    def embed(self, token_ids: Tensor, positions: Tensor) -> Tensor:
        """Embed decoder tokens at their places from 0, ``[N], [N] -> [N, H]``."""

    @abstractmethod
    def bias(self, query_pos: Tensor, key_pos: Tensor) -> Tensor | None:
        """What is added to the scaled scores of self-attention, the same in every layer.

        Args:
            query_pos: Places of the queries, ``[..., A]``.
            key_pos: Places of the keys, ``[..., M]``.

        Returns:
            ``[..., heads, A, M]``, or None. It must depend on ``query_pos - key_pos`` alone. The
            causal mask is the engine's.
        """

    @abstractmethod
    def self_projections(self, index: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Query of rows to compute, ``[N, I]``, and their keys beside their values, ``[N, 2I]``."""

    @abstractmethod
    def self_query(self, index: int, rows: Tensor) -> Tensor:
        """The query of ``self_projections`` alone, ``[N, H] -> [N, I]``."""

    @abstractmethod
    def self_keys_values(self, index: int, rows: Tensor) -> Tensor:
        """Keys beside values, for rows that are read and not computed, ``[N, H] -> [N, 2I]``."""

    @abstractmethod
    def after_self(self, index: int, rows: Tensor, read: Tensor) -> Tensor:
        """Output projection, residual and norm of self-attention.

        Args:
            index: Layer, from 0.
            rows: States that entered the layer, ``[N, H]``.
            read: What self-attention read for them, heads joined, ``[N, I]``.
        """

    @abstractmethod
    def cross_query(self, index: int, rows: Tensor) -> Tensor:
        """Query of cross-attention, ``[N, H] -> [N, I]``; ``rows`` come from ``after_self``."""

    @abstractmethod
    def cross_keys_values(self, index: int, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the source, ``[..., H] -> 2 x [..., I]``."""

    @abstractmethod
    def after_cross(self, index: int, rows: Tensor, read: Tensor) -> Tensor:
        """Output projection, residual and norm of cross-attention; as ``after_self``."""

    @abstractmethod
    def feed_forward(self, index: int, rows: Tensor) -> Tensor:
        """Feed-forward block with residual and norm, ``[N, H] -> [N, H]``."""

    # --- the top ---------------------------------------------------------------------------

    @abstractmethod
    def finish(self, rows: Tensor) -> Tensor:
        """States as the vocabulary head sees them: final norm and scale, where there are."""

    def vocabulary(self, rows: Tensor, ids: Tensor | None = None) -> Tensor:
        """Logits of finished rows.

        Args:
            rows: ``[N, H]``.
            ids: Only these entries, ``[N, K]``; all when None.

        Returns:
            ``[N, V]`` or ``[N, K]``.
        """
        head: Any = self.final_head()
        if ids is None:
            return head(rows)
        if isinstance(head, Reduced):
            return head.entries(rows, ids)
        if not is_linear(head):  # such as one with an adapter
            return head(rows).gather(-1, ids)
        scores = (embedding(ids, head.weight) @ rows[..., None]).squeeze(-1)
        return scores if head.bias is None else scores + head.bias[ids]

    def final_head(self) -> nn.Module:
        """The module that maps finished rows to the vocabulary."""
        head: Any = self.model.get_output_embeddings()
        return head
