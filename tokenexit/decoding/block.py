"""The tokens that are computed together in one layer, and how they attend."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from tokenexit.decoders import Decoder
from tokenexit.decoding.attention import attend
from tokenexit.decoding.cache import DecoderCache, Index
from tokenexit.decoding.source import Source


class Block:
    """Tokens by sequence and place, in that order.

    Usually one token a sequence, the newest; several where pending tokens are computed too.

    Args:
        rows: Sequence of each token, ``[N]``, ascending.
        places: Place of each token in its sequence, ``[N]``, ascending within a sequence.
        cache: Where their sequences are kept.
        origin: Source of each sequence, ``[R]``.
        lanes: Sequences of each source if all have as many, else 0.
    """

    def __init__(
        self, rows: Index, places: Index, cache: DecoderCache, origin: Index, lanes: int
    ) -> None:
        self.rows, self.places = rows, places
        self._cache = cache
        self._single = len(rows) < 2 or bool((rows[1:] != rows[:-1]).all())
        # Every sequence has its newest token here: nothing needs an index.
        self.whole = self._single and len(rows) == len(cache)
        self._origin = origin[rows]
        self._pairs: int | None = None
        self._lanes = lanes if self.whole else 0

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def where(self) -> Tensor | slice:
        """The tokens' places in the cache."""
        if self.whole:
            return slice(int(self.places[0]), int(self.places[0]) + 1)
        return self._cache.flat(self.rows, self.places)

    @cached_property
    def begins(self) -> tuple[Index, Index]:
        """The sequences here, and the first place of each that is computed."""
        if self._single:
            return self.rows, self.places
        first = np.flatnonzero(np.diff(self.rows, prepend=-1))
        return self.rows[first], self.places[first]

    @cached_property
    def last(self) -> Tensor:
        """Where the newest token of each sequence stands in the block."""
        last = np.flatnonzero(np.diff(self.rows, append=-1))
        return torch.from_numpy(last).to(self._cache.device)

    def self_attention(
        self, decoder: Decoder, index: int, query: Tensor, bias: Tensor | None
    ) -> Tensor:
        """What each token reads from its sequence, itself included.

        Args:
            decoder: Whose heads and scale.
            index: Layer, from 0; its keys and values are in the cache.
            query: ``[N, I]``.
            bias: From ``bias_of``.

        Returns:
            ``[N, I]``.
        """
        if self.whole:
            keys, values = self._cache.read(index)
            asked = query.view(len(query), decoder.num_heads, 1, -1)
            return attend(decoder, asked, keys, values, bias).view(query.shape)
        span, width, place = self._lanes_of_rows
        keys, values = self._cache.read(index, span)
        size = span.stop - span.start
        asked = query.new_zeros(size * width, query.shape[1]).index_copy_(0, place, query)
        asked = asked.view(size, width, decoder.num_heads, -1).transpose(1, 2)
        read = attend(decoder, asked, keys, values, bias)
        return read.transpose(1, 2).reshape(size * width, -1)[place]

    def bias_of(self, decoder: Decoder) -> Tensor | None:
        """Position bias and causal mask for ``self_attention``; the same in all layers."""
        if self._single:
            return self._cache.bias()
        return self._bias_by_place(decoder)

    def _bias_by_place(self, decoder: Decoder) -> Tensor:
        """The same for any places, ``[span, h or 1, width, M]``."""
        device = self._cache.device
        keys = torch.arange(self._cache.length, device=device)
        span, width, place = self._lanes_of_rows
        places = torch.zeros((span.stop - span.start) * width, dtype=torch.long, device=device)
        places[place] = torch.from_numpy(self.places).to(device)
        places = places.view(-1, width)
        later = (keys > places[..., None])[:, None]
        bias = decoder.bias(places, keys.expand(len(places), -1))
        if bias is None:
            bias = torch.zeros(later.shape, device=device)
        return bias.masked_fill(later, float("-inf"))

    def cross_attention(self, source: Source, index: int, query: Tensor) -> Tensor:
        """What each token reads from its source, ``[N, I]``."""
        return source.attend(index, query, self._origin, self._lanes)

    def pairs(self, source: Source) -> int:
        """Tokens that this block reads in both attentions, over all its tokens."""
        if self._pairs is None:
            read = self.places.sum() + len(self.places) + source.lengths[self._origin].sum()
            self._pairs = int(read)
        return self._pairs

    @cached_property
    def _lanes_of_rows(self) -> tuple[slice, int, Tensor]:
        """The run of sequences, most tokens of one, and where each token asks in it."""
        low, high = int(self.rows[0]), int(self.rows[-1]) + 1
        lane = np.arange(len(self.rows)) - np.searchsorted(self.rows, self.rows)
        width = int(lane.max()) + 1
        place = torch.from_numpy((self.rows - low) * width + lane)
        return slice(low, high), width, place.to(self._cache.device)
