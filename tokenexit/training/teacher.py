"""A model that teaches: run beside the pupil on the same batch, when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor

from tokenexit.halting import Visitor
from tokenexit.signals import Signals


class TeacherView:
    """What a teacher says of one batch; see ``objectives.teacher.Teacher``.

    Args:
        run: Sends the batch through the teacher, showing every exit to a visitor, and
            gives a list, if any, the states of all rows after each layer.
        with_states: Whether all rows are wanted after each layer.
    """

    def __init__(
        self, run: Callable[[Visitor, list[Tensor] | None], None], with_states: bool = False
    ) -> None:
        self._run, self._with_states = run, with_states

    @cached_property
    def _told(self) -> tuple[_Notes, list[Tensor]]:
        notes, states = _Notes(), []
        with torch.no_grad():
            self._run(notes, states if self._with_states else None)
        return notes, states

    @property
    def logits(self) -> Tensor:
        """See ``Teacher``."""
        return self.exits[max(self.exits)]

    @property
    def exits(self) -> Mapping[int, Tensor]:
        """See ``Teacher``; an exit is scored when it is first asked for."""
        return _PerLayer(self._told[0].seen, lambda signals: signals.logits)

    @property
    def hidden(self) -> Mapping[int, Tensor]:
        """See ``Teacher``."""
        return _PerLayer(self._told[0].seen, lambda signals: signals.hidden)

    @property
    def states(self) -> Sequence[Tensor]:
        """See ``Teacher``."""
        assert self._with_states, "for objectives with reads_states"
        return self._told[1]


class _Notes:
    """A visitor that keeps what it is shown, and lets nobody leave."""

    def __init__(self) -> None:
        self.seen: dict[int, Signals] = {}

    def arrive(self, signals: Signals, words: Tensor) -> None:
        self.seen[signals.layer] = signals  # all words, in order: nobody has left

    def leave(self, halted: Tensor, staying: Tensor) -> None:
        pass


class _PerLayer(Mapping[int, Tensor]):
    """Something of each exit."""

    def __init__(self, seen: Mapping[int, Signals], read: Callable[[Signals], Tensor]) -> None:
        self._seen, self._read = seen, read

    @torch.no_grad()
    def __getitem__(self, layer: int) -> Tensor:
        return self._read(self._seen[layer])

    def __iter__(self) -> Iterator[int]:
        return iter(self._seen)

    def __len__(self) -> int:
        return len(self._seen)
