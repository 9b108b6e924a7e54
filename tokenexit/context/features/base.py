"""What a feature is: numbers of the rows at an exit, and what it remembers for the next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from tokenexit.context.seen import Seen
from tokenexit.registry import Registry

FEATURES: Registry[Feature] = Registry("feature", "tokenexit.context.features")

State = Any
"""None, a tensor whose first axis is rows, or a (nested) tuple of states."""


@dataclass(frozen=True)
class Shape:
    """How many numbers features give.

    Attributes:
        classes: Of the exits, or words of the vocabulary, ``C``.
        history: Exits that are remembered.
        projection: Numbers of a state, ``P``.
        exits: Layers below the top with an exit.
        num_layers: Depth of the network.
        width: Of the states, ``H``.
        reach: Steps before that are remembered.
    """

    classes: int
    history: int
    projection: int
    exits: tuple[int, ...]
    num_layers: int
    width: int = 0
    reach: int = 0


class Feature(ABC):
    """Numbers of rows.

    Args:
        shape: Of the gate that reads them.
    """

    of_logits: ClassVar[bool] = True
    """Whether the exit's head has to be computed."""

    of_classes: ClassVar[bool] = False
    """Whether there are as many numbers as classes: not for vocabularies."""

    reads_states: ClassVar[bool] = False
    """Whether states have to be kept for whoever fits a gate."""

    of_steps: ClassVar[bool] = False
    """Whether it looks at the steps before: there are some only where texts are written."""

    remembers: ClassVar[bool] = False
    """Whether it looks at exits before; of neighbours only what is now is known."""

    as_wide_as: ClassVar[str | None] = None
    """What of the shape says how many numbers there are, if anything."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        if self.as_wide_as is not None:
            return getattr(self.shape, self.as_wide_as)
        return self.shape.classes if self.of_classes else 1

    @abstractmethod
    def look(self, seen: Seen, state: State) -> tuple[Tensor, State]:
        """Numbers of the rows at an exit.

        Args:
            seen: The rows.
            state: What was remembered at the exit before, of the same rows; None at the first.

        Returns:
            ``[N, width]``, float32, and what to remember.
        """


class Plain(Feature):
    """A feature that remembers nothing."""

    @abstractmethod
    def numbers(self, seen: Seen) -> Tensor:
        """Numbers of the rows, ``[N, width]``."""

    def look(self, seen: Seen, state: State) -> tuple[Tensor, State]:
        """See ``Feature``."""
        return self.numbers(seen), None


class OfState(Plain):
    """A feature of the state, of which no logits are read."""

    of_logits = False
    reads_states = True


class Earlier(Feature):
    """A feature of the last ``history`` exits; before there were so many, they said ``absent``."""

    remembers = True
    as_wide_as = "history"
    absent: ClassVar[float]

    @abstractmethod
    def keep(self, seen: Seen) -> Tensor:
        """What to remember of rows, ``[N, ...]``."""

    def compare(self, seen: Seen, before: Tensor) -> Tensor:
        """Numbers of rows, from what was remembered ``[N, history, ...]``: ``[N, history]``."""
        return before

    def look(self, seen: Seen, state: State) -> tuple[Tensor, State]:
        """See ``Feature``."""
        now = self.keep(seen)
        if state is None:
            shape = (len(seen), self.shape.history, *now.shape[1:])
            state = torch.full(shape, self.absent, dtype=now.dtype, device=now.device)
        numbers = self.compare(seen, state)
        kept = torch.cat([now[:, None], state], dim=1)[:, : self.shape.history]
        return numbers.float(), kept


class OfSteps(Plain):
    """A feature of the last ``reach`` tokens of a text; 0 where there are none, or none known."""

    of_logits = False
    of_steps = True
    as_wide_as = "reach"

    @abstractmethod
    def known(self, seen: Seen) -> Tensor | None:
        """What is known of them, ``[N, reach]``."""

    def numbers(self, seen: Seen) -> Tensor:
        """See ``Plain``."""
        known = self.known(seen)
        return torch.zeros(len(seen), self.width, device=seen.device) if known is None else known
