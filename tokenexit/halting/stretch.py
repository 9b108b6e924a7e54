"""Layers up to an exit, for texts that go on with others later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from tokenexit.halting.embedding import Entered
from tokenexit.halting.packing import Index
from tokenexit.halting.rows import LiveRows
from tokenexit.halting.trace import LayerWork


@dataclass(eq=False)
class Stretch:
    """Where a batch of texts comes from, how far it goes, and who of it goes on.

    Attributes:
        last: The last layer of the stretch, from 1.
        done: Layers before it.
        hidden: States of all rows, in the order of the batch, ``[T, H]``; None: to be embedded.
            Afterwards those of texts that go on.
        previous: What the exit before saw of each word, ``[N, H]``, if there was one. Afterwards
            what this one saw.
        past: What all exits before saw, ``[N, E, H]``, where heads read it.
        staying: Afterwards, the words that go on, ``[N]`` (host).
    """

    last: int
    done: int = 0
    hidden: Tensor | None = None
    previous: Tensor | None = None
    past: Tensor | None = None
    staying: Index | None = None

    def entered(self) -> Entered | None:
        """The batch before the stretch; None where it begins with the embeddings."""
        if self.hidden is None:
            return None
        return Entered(self.hidden, tuple(LayerWork() for _ in range(self.done)))

    def seen_before(self) -> Callable[[], Tensor] | None:
        """What the exit before saw."""
        previous = self.previous
        return None if previous is None else lambda: previous

    def pause(
        self, rows: LiveRows, previous: Callable[[], Tensor] | None, past: Tensor | None
    ) -> None:
        """Keep what the texts that go on need."""
        self.staying, self.hidden, self.past = rows.words, rows.hidden, past
        self.previous = None if previous is None else previous()
