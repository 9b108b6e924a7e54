"""Write texts for a corpus larger than the batch: rows wait for others, ended ones give way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor

from tokenexit.decoding.by_depth.lanes import Lanes
from tokenexit.decoding.by_depth.schedule import Round, Schedule
from tokenexit.decoding.cache import Index

Choose = Callable[[Tensor, Tensor], Tensor]
"""The next token of each row, ``[n]``, from the tokens so far ``[n, T]`` and logits ``[n, V]``."""

Feed = Callable[[int], tuple[Tensor, Tensor] | None]
"""Encodes the next sources, so many at most: states ``[n, S, H]`` and mask ``[n, S]``; None once
there are no more."""


@dataclass(frozen=True)
class Search:
    """What greedy search goes by.

    Attributes:
        choose: Picks tokens of rows that have equally many.
        alike: Whether it goes by the logits alone, so that rows need not have equally many.
        start: The token read first.
        most: New tokens at most.
        ends: Tokens that end a text.
    """

    choose: Choose
    alike: bool
    start: int
    most: int
    ends: frozenset[int]


@dataclass
class Text:
    """One text.

    Attributes:
        number: Of its source in the corpus, from 0.
        tokens: What was written, the end token included.
        exit_layers: Layer at which each token left.
    """

    number: int
    tokens: list[int] = field(default_factory=list)
    exit_layers: list[int] = field(default_factory=list)


class Corpus:
    """Texts in flight, and those that wait for a slot.

    Args:
        lanes: Compute segments.
        schedule: Says which.
        search: How tokens are chosen.
        feed: Gives the sources.
        slots: Texts in flight.
        device: Where tokens are.
    """

    def __init__(
        self,
        lanes: Lanes,
        schedule: Schedule,
        search: Search,
        feed: Feed,
        slots: int,
        device: torch.device,
    ) -> None:
        self._lanes, self._schedule, self._search, self._feed = lanes, schedule, search, feed
        self._device, self.slots = device, slots
        self._free = list(range(slots))
        self._texts: dict[int, Text] = {}
        self._tokens = torch.full(
            (slots, search.most + 1), search.start, dtype=torch.long, device=device
        )
        self._count = 0
        self._more = True
        self.longest_wait = 0
        """Rounds that a row was passed over, at most so far."""

    @property
    def max_wait(self) -> int:
        """Rounds after which a row is due."""
        return self._schedule.max_wait

    def __iter__(self) -> Iterator[Text]:
        """Texts in the order of their sources, each as soon as it and all before are there."""
        ready: dict[int, Text] = {}
        due = 0
        try:
            self._refill()
            while len(self._schedule):
                for text in self._round(self._schedule.next()):
                    ready[text.number] = text
                self._refill()
                while due in ready:
                    yield ready.pop(due)
                    due += 1
        finally:
            self._lanes.close()

    # Not around the iteration: whoever takes the texts is in whatever mode he likes.
    @torch.inference_mode()
    def _refill(self) -> None:
        """Give free slots to the next sources."""
        while self._free and self._more:
            found = self._feed(min(len(self._free), self._schedule.batch))
            if found is None:
                self._more = False
                return
            memory, mask = found
            slots = np.array(sorted(self._free[: len(memory)]))
            self._free = self._free[len(memory) :]
            self._lanes.admit(slots, memory, mask)
            for slot in slots.tolist():
                self._texts[slot] = Text(self._count)
                self._count += 1
            self._read(slots)

    def _read(self, slots: Index) -> None:
        """The newest tokens of texts are read."""
        last = torch.from_numpy(self._lengths(slots) - 1).to(self._device)
        at = torch.from_numpy(slots).to(self._device)
        self._lanes.read(slots, self._tokens[at, last])
        self._schedule.wait(0, slots.tolist())

    @torch.inference_mode()
    def _round(self, planned: Round) -> list[Text]:
        """Run a segment; returns the texts that ended."""
        self.longest_wait = max(self.longest_wait, planned.waited)
        slots = np.array(planned.rows)
        left = self._lanes.run(planned.segment, slots, partial(self._picked, slots))
        if not left.gone.all():
            self._schedule.wait(planned.segment + 1, slots[~left.gone].tolist())
        if left.tokens is None:
            return []
        gone = slots[left.gone]
        at = torch.from_numpy(gone).to(self._device)
        self._tokens[at, torch.from_numpy(self._lengths(gone)).to(self._device)] = left.tokens
        going, ended = [], []
        for slot, token in zip(gone.tolist(), left.told, strict=True):
            text = self._texts[slot]
            text.tokens.append(token)
            text.exit_layers.append(left.layer)
            if token in self._search.ends or len(text.tokens) == self._search.most:
                self._free.append(slot)
                ended.append(self._texts.pop(slot))
            else:
                going.append(slot)
        if going:
            self._read(np.array(going))
        return ended

    def _lengths(self, slots: Index) -> Index:
        """Tokens of texts, the start included, ``[n]``."""
        return np.array([1 + len(self._texts[slot].tokens) for slot in slots.tolist()])

    def _picked(self, slots: Index, which: Index, logits: Tensor) -> Tensor:
        """The next token of some rows of a round, ``[n]``; see ``Pick``."""
        chosen, scores = slots[which], logits.float()
        if self._search.alike:
            return self._search.choose(self._tokens[:1, :1], scores)
        lengths = self._lengths(chosen)
        found = torch.zeros(len(chosen), dtype=torch.long, device=self._device)
        for length in np.unique(lengths):
            among = np.flatnonzero(lengths == length)
            mine = torch.from_numpy(among).to(self._device)
            rows = torch.from_numpy(chosen[among]).to(self._device)
            found[mine] = self._search.choose(self._tokens[rows, :length], scores[mine])
        return found
