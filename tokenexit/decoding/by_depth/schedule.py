"""Who goes next: rows that must go deeper wait until enough of them do.

The layers between two exits are a segment. A round runs one segment for some of the rows that
wait there; those that leave take their next step at the first segment again. Nothing here knows
how a segment is computed, so that simulations and every runtime plan alike.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from tokenexit.errors import UserError


@dataclass(frozen=True)
class Round:
    """What is computed next.

    Attributes:
        segment: Which layers, from 0.
        rows: For which rows, ascending.
        waited: Rounds that the one which waited longest was passed over.
    """

    segment: int
    rows: tuple[int, ...]
    waited: int


class Schedule:
    """Queues of rows before each segment.

    The deepest segment with ``batch`` rows goes first, else the one where most rows wait, of
    several the deepest. A row that was passed over ``max_wait`` times is due: the row that waits
    longest then decides. With ``R`` rows in all and ``S`` segments, nobody is passed over more
    than ``max_wait + S + R / batch`` times.

    Args:
        segments: How many there are.
        batch: Rows of a round at most.
        max_wait: Rounds after which a row is due.
    """

    def __init__(self, segments: int, batch: int, max_wait: int) -> None:
        self.batch, self.max_wait = batch, max_wait
        self.rounds = 0
        """Rounds so far."""
        self._queues: list[deque[tuple[int, int]]] = [deque() for _ in range(segments)]

    def __len__(self) -> int:
        return sum(map(len, self._queues))

    @property
    def segments(self) -> int:
        """Segments of layers."""
        return len(self._queues)

    def wait(self, segment: int, rows: Iterable[int]) -> None:
        """Rows have come to a segment."""
        self._queues[segment].extend((row, self.rounds) for row in rows)

    def next(self) -> Round:
        """The next round; there must be somebody."""
        segment = self._segment()
        queue = self._queues[segment]
        taken = [queue.popleft() for _ in range(min(self.batch, len(queue)))]
        waited = self.rounds - taken[0][1]
        self.rounds += 1
        return Round(segment, tuple(sorted(row for row, _ in taken)), waited)

    def _segment(self) -> int:
        held = [(queue[0][1], -number) for number, queue in enumerate(self._queues) if queue]
        since, number = min(held)
        if self.rounds - since >= self.max_wait:
            return -number
        sizes = [min(len(queue), self.batch) for queue in self._queues]
        return max(range(len(sizes)), key=lambda place: (sizes[place], place))


class FullBatches(Schedule):
    """For a corpus, none of which is in a hurry: the deepest segment with a whole batch goes first.

    Where there is none, new rows are to be let in; when there are no more, the first segment where
    anybody waits goes on, so that its rows join those before the next.
    """

    def __init__(self, segments: int, batch: int) -> None:
        super().__init__(segments, batch, 0)

    @property
    def full(self) -> bool:
        """Whether a whole batch waits somewhere."""
        return max(map(len, self._queues)) >= self.batch

    def _segment(self) -> int:
        waiting = [number for number, queue in enumerate(self._queues) if queue]
        full = [number for number in waiting if len(self._queues[number]) >= self.batch]
        return full[-1] if full else waiting[0]


def check_batching(batch_size: int, max_wait: int, slots: int | None) -> int:
    """Refuse numbers that no schedule has; returns the texts in flight.

    Args:
        batch_size: Rows of a round at most.
        max_wait: Rounds after which a row is due.
        slots: Texts in flight; twice ``batch_size`` when None.

    Raises:
        UserError: Says which, and what is allowed.
    """
    if isinstance(max_wait, bool) or not isinstance(max_wait, int) or max_wait < 0:
        raise UserError(
            f"max_wait is a number of rounds from 0 (nobody waits for others), not {max_wait!r}."
        )
    if slots is None:
        return 2 * batch_size
    if isinstance(slots, bool) or not isinstance(slots, int) or slots < batch_size:
        raise UserError(
            f"slots is how many texts are in flight, a whole number from batch_size={batch_size}, "
            f"not {slots!r}."
        )
    return slots
