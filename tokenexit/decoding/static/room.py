"""Memory of fixed size that sequences are decoded in."""

from __future__ import annotations

from itertools import count
from typing import Any

import torch
from torch import Tensor

from tokenexit.decoding.static.network import Network
from tokenexit.decoding.static.sizes import Sizes
from tokenexit.policies.base import State

_NUMBERS = count()


class Room:
    """Everything that segments read and write. What a capture has seen stays where it is.

    Sequences lie source after source, as many of each; those that only fill up the memory come
    last and never live.

    Args:
        network: Whose states are kept.
        sizes: How much of each.
    """

    def __init__(self, network: Network, sizes: Sizes) -> None:
        self.network, self.sizes = network, sizes
        self.number = next(_NUMBERS)
        """Its name in captures."""
        decoder, rows, places = network.decoder, sizes.rows, sizes.places
        heads, layers = decoder.num_heads, network.layers
        size = decoder.inner_size // heads
        device = network.device

        def zeros(*shape: int, dtype: torch.dtype = torch.long) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        keys, states, boolean = network.keys, network.states, torch.bool
        # What sequences have of each place.
        self.keys_values = zeros(layers, rows, 2, heads, places, size, dtype=keys)
        self.states = zeros(rows, places, decoder.hidden_size, dtype=states)
        self.reached = zeros(rows, places)
        self.written, self.left = zeros(rows, places), zeros(rows, places)
        self.depths = zeros(rows, network.reach + places, dtype=torch.float32)
        self.doubts = torch.zeros_like(self.depths)
        # The sources.
        self.memory = zeros(sizes.sources, sizes.read, decoder.hidden_size, dtype=keys)
        self.source = zeros(layers, 2, sizes.sources, heads, sizes.read, size, dtype=keys)
        self.source_mask = zeros(sizes.sources, 1, 1, sizes.read, dtype=keys)
        # The step.
        self.numbers = torch.arange(places, device=device)
        self.place, self.start = zeros(rows), zeros(1)
        self.here = self.place[:1]
        """The newest place, where that of all sequences is the same."""
        self.tokens, self.order = zeros(rows), torch.arange(rows, device=device)
        self.exit_layer = zeros(rows)
        """Layer after which each has left; 0 if it is still there, -1 if it does not live."""
        self.live, self.alive = zeros(rows, dtype=boolean), zeros(rows, dtype=boolean)
        self.hidden = zeros(rows, decoder.hidden_size, dtype=states)
        self.previous = torch.zeros_like(self.hidden)
        self.logits = zeros(rows, network.vocabulary, dtype=network.scores)
        bias = decoder.bias(self.numbers[-1:], self.numbers)
        self.distances = None if bias is None else torch.zeros_like(bias[:, 0])
        one = 1 if bias is None else heads
        self.bias = zeros(1, one, 1, places, dtype=keys)
        # The rule.
        self.lines = zeros(layers, rows, dtype=torch.float32)
        self.rule: Any = None
        """Whose thresholds these are."""
        self.depth, self.count, self.last = zeros(rows), zeros(rows), zeros(rows)
        self.told = zeros(rows, dtype=torch.float32)
        self.words: dict[int, Tensor] = {}
        """Shortlists by their length, ``[R, K]``; made when there first is one."""
        self.remembered: State = None
        """What a context gate remembers; made when it first remembers something."""
        # Greedy search.
        self.banned = zeros(network.vocabulary, dtype=torch.float32)
        self.padding, self.going = zeros(1), zeros(places)

    def begin(self) -> None:
        """Be as new; weights that the bias is made from may have changed."""
        for store in (self.keys_values, self.states, self.depths, self.doubts, self.memory):
            store.zero_()  # a number that is none, left by others, would spread through a mask
        self.rule = None
        self.place.fill_(-1)
        self.tokens.zero_()
        self.live.zero_()
        if self.distances is not None:
            bias = self.network.decoder.bias(self.numbers[-1:], self.numbers)
            assert bias is not None
            self.distances.copy_(bias[:, 0].flip(-1))

    def load(self, memory: Tensor, mask: Tensor | None) -> None:
        """Take sources.

        Args:
            memory: ``[B, S, H]``, at most as large as this.
            mask: 1 for real tokens, ``[B, S]``, or None.
        """
        sources, read = memory.shape[:2]
        self.memory[:sources, :read].copy_(memory)
        self.source_mask.zero_()  # nobody's sources are read by nobody, as they are
        hidden = self.source_mask[:sources, 0, 0]
        if mask is not None:
            hidden[:, :read].masked_fill_(~mask.to(hidden.device).bool(), float("-inf"))
        hidden[:, read:].fill_(float("-inf"))

    def take(self, other: Room, sources: Tensor, rows: Tensor, length: int) -> None:
        """Become a copy of other memory, with other sequences.

        Args:
            other: Of the same network.
            sources: Which of its sources there are here, ``[B']``.
            rows: Which of its sequences, ``[R']``.
            length: Places in use.
        """
        count, many = len(sources), len(rows)
        read = min(other.sizes.read, self.sizes.read)
        self.source_mask.zero_()
        self.memory[:count, :read].copy_(other.memory[sources, :read])
        self.source_mask[:count, ..., :read].copy_(other.source_mask[sources][..., :read])
        self.source[:, :, :count, :, :read].copy_(other.source[:, :, sources, :, :read])
        if length:
            self.keys_values[:, :many, ..., :length, :].copy_(
                other.keys_values[:, rows, ..., :length, :]
            )
        for mine, theirs in zip(self._placed(), other._placed(), strict=True):
            end = length + mine.shape[1] - self.sizes.places
            mine[:many, :end].copy_(theirs[rows, :end])
        for mine, theirs in zip(self._of_rows(), other._of_rows(), strict=True):
            mine[:many].copy_(theirs[rows])
        if other.sizes.rows == self.sizes.rows:
            self.place.copy_(other.place)
        else:
            self.place.copy_(other.here.expand_as(self.place))
        self.banned.copy_(other.banned)
        self.padding.copy_(other.padding)
        self.going[:length].copy_(other.going[:length])

    def reorder(self, width: int) -> None:
        """Every sequence becomes a copy of the one that ``order`` names, in the places in use."""
        for store in self.keys_values.unbind():
            used = store[..., :width, :]
            used.copy_(used.index_select(0, self.order))
        for store in self._placed():
            used = store[:, : width + store.shape[1] - self.sizes.places]
            used.copy_(used.index_select(0, self.order))

    def _placed(self) -> list[Tensor]:
        """What else there is of each place, ``[R, M, ...]``."""
        return [self.states, self.reached, self.written, self.left, self.depths, self.doubts]

    def _of_rows(self) -> list[Tensor]:
        return [self.tokens, self.live]

    # --- what a rule keeps ------------------------------------------------------------------

    def list_of(self, size: int) -> Tensor:
        """A shortlist of so many words, ``[R, K]``."""
        if size not in self.words:
            self.words[size] = self.order.new_zeros(self.sizes.rows, size)
        return self.words[size]

    def remember(self, memory: State) -> None:
        """Keep what a context gate remembers of all sequences."""
        self.remembered = _kept(self.remembered, memory)


def _kept(kept: State, memory: State) -> State:
    if memory is None:
        return None
    if isinstance(memory, torch.Tensor):
        return memory.clone() if kept is None else kept.copy_(memory)
    before = (None,) * len(memory) if kept is None else kept
    return tuple(_kept(mine, part) for mine, part in zip(before, memory, strict=True))
