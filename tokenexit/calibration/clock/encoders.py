"""Taggers and text classifiers under the clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tokenexit.calibration.clock.counts import ASK, LEFT, Counts, asked_at, effective, kind_of
from tokenexit.calibration.clock.timed import Timed, repeated, sizes, spread
from tokenexit.halting import Trace
from tokenexit.models.encoders.encoder_model import EncoderModel
from tokenexit.models.encoders.encoding import TextWindow
from tokenexit.models.encoders.run import run
from tokenexit.policies import Policy

Batch = list[TextWindow]


class TimedEncoder(Timed):
    """A tagger or text classifier.

    Args:
        model: The model.
        texts: Words of each text, or its one or two strings.
        batch_size: Texts a batch.
    """

    def __init__(
        self, model: EncoderModel, texts: Sequence[Sequence[str]], batch_size: int
    ) -> None:
        self.model, self.batch_size = model, batch_size
        self.exit_layers = model.settings.exit_layers
        self.num_layers = model.backbone.num_layers
        self.device = model.device
        self.windows = model.with_depths(model.encoder.encode(texts))
        starts = range(0, len(self.windows), batch_size)
        self._all = [self.windows[n : n + batch_size] for n in starts]
        cost = model.used_backbone.cost(0)
        self._share = cost.key_value / (cost.query + cost.key_value + cost.combine)

    def batches(self) -> list[Batch]:
        """All windows, in their order."""
        return self._all

    def probes(self) -> list[list[Batch]]:
        """Texts alone, short ones and long ones, and up to a batch; of taggers, beginnings too."""
        order = np.argsort(
            [len(window.sentence.input_ids) for window in self.windows], kind="stable"
        )
        alone = [self._chosen(1, part.tolist()) for part in np.array_split(order, 3) if len(part)]
        whole = alone + [self._chosen(size) for size in sizes(self.batch_size)[1:]]
        if self.model.backbone.of_texts:
            return whole
        begun = {(1, 1), (1, 4), (self.batch_size, 1), (self.batch_size, 4)}
        few = [
            [[_beginning(window, words) for window in batch] for batch in self._chosen(size)]
            for size, words in sorted(begun)
        ]
        return [*few, *whole]

    @cached_property
    def _packed(self) -> Packed:
        return Packed.of(self._all)

    def _chosen(self, size: int, among: Sequence[int] | None = None) -> list[Batch]:
        """Batches of so many windows, each as a text of its own; of some of them, or of all."""
        given = self.windows if among is None else [self.windows[place] for place in among]
        lengths = [len(window.sentence.input_ids) for window in given]
        places = spread(lengths, size * repeated(size))
        windows = [replace(given[p], text=number) for number, p in enumerate(places)]
        return [windows[n : n + size] for n in range(0, len(windows), size)]

    def run(self, batches: Sequence[Batch], policy: Policy) -> Trace:
        """Label batches of one size, of which the last may be smaller."""
        windows = [window for batch in batches for window in batch]
        halted = self.model.settings.halted
        return run(self.model, windows, policy, batch_size=len(batches[0]), halted=halted)

    def exits(self, done: Trace) -> NDArray[np.int64]:
        """Of each word, ``[W]``."""
        return done.exit_layer

    def scores(self, done: Trace) -> bool:
        """Whether heads scored far more words than left there."""
        # Words at the borders of windows are scored in two.
        left = zip(done.work[:-1], done.histogram[:-1], strict=True)
        return any(work.head > 1.5 * count for work, count in left)

    def texts(self, batch: Batch) -> int:
        """Texts of a batch, a long one counted where it begins."""
        return sum(window.first == 0 for window in batch)

    def tokens(self, batch: Batch) -> int:
        """Tokens read."""
        return sum(len(window.sentence.input_ids) for window in batch)

    def counts(self, batches: Sequence[Batch], policy: Policy, exits: NDArray[np.int64]) -> Counts:
        """See ``Timed``; a word's share of its window's sub-words stands for its own."""
        packed = self._packed if batches is self._all else Packed.of(batches)
        asked, kind = asked_at(policy, self.exit_layers[:-1]), kind_of(policy)
        copied = self.model.settings.halted == "copy"
        found: dict[str, list[NDArray[np.float64]]] = {"batch": [packed.summed(packed.tokens)]}
        for layer in range(1, self.num_layers + 1):
            here = packed.words_of(exits >= layer)
            asking, leaving = packed.summed(here), packed.summed(packed.words_of(exits == layer))
            active = packed.rows(here)
            attended = packed.tokens * (here > 0) if copied else active
            if layer == self.num_layers and self.model.backbone.row_by_row:
                active = here  # nobody reads the others any more
            rows = packed.summed(effective(active, attended, self._share))
            found.setdefault("layer", []).append(rows[asking > 0])
            if layer in asked:
                found.setdefault(f"{ASK}{kind}", []).append(asking[asking > 0])
            name = f"{LEFT}{kind}" if layer in asked else "head"
            found.setdefault(name, []).append(leaving[leaving > 0])
            stays = (leaving > 0) & (leaving < asking)
            found.setdefault("split", []).append((asking - leaving)[stays])
        return {name: np.concatenate(parts) for name, parts in found.items()}


@dataclass(frozen=True)
class Packed:
    """Batches in numbers.

    Attributes:
        tokens: Of each window, ``[P]``.
        special: Those of them that belong to no word, ``[P]``.
        words: That each window answers for, ``[P]``.
        owner: Window of each word, ``[W]``.
        first: First window of each batch, ``[B]``.
    """

    tokens: NDArray[np.float64]
    special: NDArray[np.float64]
    words: NDArray[np.int64]
    owner: NDArray[np.int64]
    first: NDArray[np.int64]

    @classmethod
    def of(cls, batches: Sequence[Batch]) -> Packed:
        """Look at every window."""
        windows = [window for batch in batches for window in batch]
        tokens = np.array([len(window.sentence.input_ids) for window in windows], dtype=float)
        of_words = [sum(map(len, window.sentence.word_rows)) for window in windows]
        words = np.array([window.keep[1] - window.keep[0] for window in windows], dtype=np.int64)
        sizes = [len(batch) for batch in batches]
        return cls(
            tokens,
            tokens - np.array(of_words, dtype=float),
            words,
            np.repeat(np.arange(len(windows)), words),
            np.cumsum([0, *sizes[:-1]]),
        )

    def words_of(self, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        """How many of some words each window has, ``[W] -> [P]``."""
        return np.bincount(self.owner[mask], minlength=len(self.words)).astype(float)

    def rows(self, here: NDArray[np.float64]) -> NDArray[np.float64]:
        """Active rows of windows with so many words left: those of the words, and special ones."""
        share = here / np.maximum(self.words, 1)
        return np.where(here > 0, self.special + (self.tokens - self.special) * share, 0.0)

    def summed(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums by batch, ``[P] -> [B]``."""
        return np.add.reduceat(values, self.first)


def _beginning(window: TextWindow, words: int) -> TextWindow:
    """The first words of a window, its special tokens kept, as a text of its own."""
    read = window.sentence
    last = read.word_rows[:words][-1][-1] + 1
    end = max((rows[-1] + 1 for rows in read.word_rows), default=last)
    kept = [*range(last), *range(end, len(read.input_ids))]
    sentence = replace(
        read,
        input_ids=[read.input_ids[place] for place in kept],
        word_rows=read.word_rows[:words],
        targets=None,
        segments=None if read.segments is None else [read.segments[place] for place in kept],
    )
    return TextWindow(window.text, 0, (0, len(sentence.word_rows)), sentence)
