"""Cascades under the clock: what is run on texts are whole models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tokenexit.calibration.clock.counts import ASK, Counts, asked_at, kind_of
from tokenexit.calibration.clock.timed import Timed, repeated, sizes, spread
from tokenexit.halting import Trace
from tokenexit.models.cascades.cascade import CascadeForSequenceClassification
from tokenexit.models.cascades.run import Reading, run_cascade
from tokenexit.policies import Policy
from tokenexit.policies.assigned_depth import AssignedDepth
from tokenexit.policies.never import Never


@dataclass(frozen=True)
class Batch:
    """Texts that are read together.

    Attributes:
        read: As the models read them.
        lengths: Tokens of each, ``[N]``.
    """

    read: Reading
    lengths: NDArray[np.int64]


class TimedCascade(Timed):
    """A cascade; texts that pass are pooled over all batches, so that it runs all at once.

    Args:
        model: The cascade.
        texts: One or two strings each.
        batch_size: Texts a batch.
    """

    def __init__(
        self,
        model: CascadeForSequenceClassification,
        texts: Sequence[Sequence[str]],
        batch_size: int,
    ) -> None:
        self.model, self.batch_size = model, batch_size
        self.exit_layers = model.settings.exit_layers
        self.num_layers = len(model.stages)
        self.device = model.device
        self._texts = list(texts)
        step, places = model.look_ahead * batch_size, range(len(self._texts))
        self._all = [self._batch(places[n : n + step]) for n in range(0, len(places), step)]

    def batches(self) -> list[Batch]:
        """All texts: as many at once as ``predict_iter`` reads."""
        return self._all

    def probes(self) -> list[list[Batch]]:
        """From one text to a batch of them."""
        lengths = [int(length) for batch in self._all for length in batch.lengths]
        found = []
        for size in sizes(self.batch_size):
            places = spread(lengths, size * repeated(size))
            found.append([self._batch(places[n : n + size]) for n in range(0, len(places), size)])
        return found

    def run(self, batches: Sequence[Batch], policy: Policy) -> list[Trace]:
        """Classify texts."""
        return [run_cascade(self.model, batch.read, policy, self.batch_size) for batch in batches]

    def exits(self, done: list[Trace]) -> NDArray[np.int64]:
        """The model that answered each text, ``[N]``."""
        return np.concatenate([trace.exit_layer for trace in done])

    def scores(self, done: list[Trace]) -> bool:
        """Yes: what a model says is read from its own head."""
        return True

    def tokens(self, batch: Batch) -> int:
        """Tokens as the last model reads them."""
        return int(batch.lengths.sum())

    def texts(self, batch: Batch) -> int:
        """Texts read."""
        return len(batch.lengths)

    def counts(self, batches: Sequence[Batch], policy: Policy, exits: NDArray[np.int64]) -> Counts:
        """See ``Timed``; a model is one operation, on the tokens of a batch."""
        asked, kind = asked_at(policy, self.exit_layers[:-1]), kind_of(policy)
        found: dict[str, list[float]] = {}
        start = 0
        for batch in batches:
            left = exits[start : start + len(batch.lengths)]
            start += len(left)
            for number in range(self._first(policy), self.num_layers + 1):
                lengths = np.sort(batch.lengths[left >= number])[::-1]
                cuts = range(0, len(lengths), self.batch_size)
                tokens = [float(lengths[n : n + self.batch_size].sum()) for n in cuts]
                found.setdefault(f"model {number}", []).extend(tokens)
                if number in asked and len(lengths):
                    found.setdefault(f"{ASK}{kind}", []).append(float(len(lengths)))
        return {name: np.array(rows) for name, rows in found.items()}

    def _first(self, policy: Policy) -> int:
        """The first model that runs at all."""
        if isinstance(policy, AssignedDepth) and not policy.by_item:
            return min(policy.depth, self.num_layers)
        return self.num_layers if isinstance(policy, Never) else 1

    def _batch(self, places: Sequence[int]) -> Batch:
        read = Reading(self.model, [self._texts[place] for place in places])
        return Batch(read, np.array([window.sentence.length for window in read.last]))
