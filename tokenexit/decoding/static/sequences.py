"""Sequences in memory of fixed size: what they hold, and how they move."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from tokenexit.decoding.cache import Index
from tokenexit.decoding.sequences import DecodingSettings, Sequences
from tokenexit.decoding.static.decoder import StaticDecoder
from tokenexit.decoding.static.form import Asked
from tokenexit.decoding.static.reads import Reads
from tokenexit.decoding.static.served import asked_of, check_no_autocast
from tokenexit.decoding.static.sizes import Sizes, sizes_for, width_for
from tokenexit.errors import UserError
from tokenexit.policies import Policy

_KEPT = 8
"""Rules that a decoding keeps."""


class StaticSequences(Sequences):
    """Memory of sequences, the rules they are asked, and how far they are.

    Args:
        static: The decoder.
        memory: Encoder states, ``[B, S, H]``.
        mask: 1 for real source tokens, ``[B, S]``, or None.
        settings: How they are written.

    Raises:
        UserError: The policy is not served, or the batch is larger than the largest bucket.
    """

    def __init__(
        self,
        static: StaticDecoder,
        memory: Tensor,
        mask: Tensor | None,
        settings: DecodingSettings,
    ) -> None:
        network, rows = static.network, len(memory)
        super().__init__(network.decoder, network.exits, settings, rows)
        self.trail = None  # what a context gate remembers is in the memory
        self.static, self.network = static, network
        self.reads = Reads(network.device)
        self._rules: dict[int, tuple[Policy, Asked]] = {}
        self.asked(settings.policy)
        sizes = sizes_for(rows, 1, memory.shape[1], settings.max_steps)
        self.lengths = _lengths(memory, mask)
        """Tokens of each source, ``[B]``."""
        self._work.source_lengths = self.lengths.tolist()
        self.steps: Index = np.zeros(rows, dtype=np.int64)
        """Steps that each sequence has taken, ``[R]``; unlike only where they are undone so."""
        self._longest = 0
        self.uneven = settings.pending == "parallel"
        self.filled: Index = np.zeros((network.layers, rows), dtype=np.int64)
        """Places filled in each layer for each sequence, ``[L, R]``. Where tokens that left ride
        along, the same for all sequences."""
        self.projected = np.zeros(network.layers, dtype=bool)
        """Layers that have read the sources."""
        self.tops: dict[int, int] = {}
        """The last layer that ran, by place."""
        with torch.inference_mode():
            self.room = static.rooms.take(sizes)
            self.room.load(memory, mask)

    def __del__(self) -> None:
        if "room" in vars(self):
            self.static.rooms.give_back(self.room)

    @property
    def length(self) -> int:
        """Steps taken by the longest sequence."""
        return self._longest

    @property
    def lanes(self) -> int:
        """Sequences of each source."""
        return self.room.sizes.lanes

    def asked(self, policy: Policy) -> Asked:
        """The rule of a policy.

        Raises:
            UserError: It has none, or what it reads is not there.
        """
        known = self._rules.get(id(policy))  # which it keeps: not all policies have a hash
        if known is None:
            if len(self._rules) >= _KEPT:
                self._rules.clear()
            window = self.pending == "parallel"
            given = self.decoder, self.exits, window, self.max_steps
            known = self._rules[id(policy)] = policy, asked_of(policy, *given)
        return known[1]

    def run(self, key: Hashable, work: Callable[[], None]) -> None:
        """Do work on the memory, by a capture where there is one."""
        self.static.run(self.room, key, work)

    # --- steps -----------------------------------------------------------------------------

    def prepare(self, token_ids: Tensor | None, live: Tensor | None) -> None:
        """Have a place for another token of each sequence.

        Args:
            token_ids: What is read there, ``[R]``; it is there already when None.
            live: Which sequences go on, ``[R]`` bool; all when None.
        """
        self.check_length()
        check_no_autocast(self.network.device.type)
        if self.length == self.room.sizes.places:
            self._move(self.room.sizes.longer())
        if token_ids is None:
            return
        rows = self._num_rows
        self.room.tokens[:rows].copy_(token_ids)
        if live is None:
            self.room.live[:rows].fill_(True)
        else:
            self.room.live[:rows].copy_(live)

    def stepped(self) -> None:
        """A step was taken."""
        self.steps += 1
        self._longest += 1

    def undo(self) -> None:
        """Forget what a step that failed has begun."""
        self.forget_each(self.steps)

    def forget(self, length: int) -> None:
        """Undo the steps from ``length`` on; the tokens before must have reached the top."""
        self.forget_each(np.full(self._num_rows, length))

    def forget_each(self, lengths: Index) -> None:
        """The same from a length of its own on, ``[R]``.

        Raises:
            UserError: They are unlike, and ``pending`` is not ``parallel``.
        """
        low, high = int(lengths.min()), int(lengths.max())
        if low < high and not self.uneven:
            super().forget_each(lengths)
        self._longest = high
        with torch.inference_mode():
            self.room.place.fill_(low - 1)
            if low < high:
                self.room.place[: len(lengths)].copy_(torch.from_numpy(lengths - 1))
        self.steps = lengths.astype(np.int64)
        np.minimum(self.filled, self.steps, out=self.filled)

    # --- sequences -------------------------------------------------------------------------

    def _replace(self, chosen: Index) -> None:
        if (self.steps != self.length).any():
            raise UserError("Sequences of unlike lengths can neither be forked nor reordered.")
        rows, origin = len(chosen), chosen // self.lanes
        even = rows == self._num_rows and (origin == np.arange(rows) // self.lanes).all()
        sources, lanes = np.unique(origin), rows // max(len(np.unique(origin)), 1)
        if not np.array_equal(np.repeat(sources, lanes), origin):
            sources, lanes = origin, 1  # from one source to another: each has its own
        sizes = sizes_for(len(sources), lanes, self.room.sizes.read, None)
        if even:
            self._reorder(chosen)
        else:
            self._move(sizes._replace(places=self.room.sizes.places), sources, chosen)
            self.lengths = self.lengths[sources]
        self._num_rows, self._ended = rows, self._ended[chosen]
        self.steps = self.steps[chosen]
        self.filled = self.filled[:, chosen]

    def _reorder(self, chosen: Index) -> None:
        if not self.length or np.array_equal(chosen, np.arange(len(chosen))):
            return
        self.room.order[: len(chosen)].copy_(torch.from_numpy(chosen), non_blocking=True)
        width = width_for(self.length)
        self.run(("reorder", width), partial(self.room.reorder, width))

    def _move(self, sizes: Sizes, sources: Index | None = None, rows: Index | None = None) -> None:
        """Go on in other memory, with all that is here or a part of it."""
        old, device = self.room, self.network.device
        room = self.static.rooms.take(sizes)
        if sources is None or rows is None:
            sources, rows = np.arange(old.sizes.sources), np.arange(old.sizes.rows)
        chosen = torch.from_numpy(sources).to(device), torch.from_numpy(rows).to(device)
        room.take(old, *chosen, length=self.length)
        self.room = room
        self.static.rooms.give_back(old)


def _lengths(memory: Tensor, mask: Tensor | None) -> Index:
    if mask is None:
        return np.full(len(memory), memory.shape[1], dtype=np.int64)
    return mask.sum(dim=1).cpu().numpy().astype(np.int64)
