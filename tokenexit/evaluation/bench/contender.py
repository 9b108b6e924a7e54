"""One way to compute what is timed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from tokenexit.backbones import evaluated
from tokenexit.backbones.freeing import freed, gone
from tokenexit.precision import precision_of

Answers = Mapping[Hashable, Any]
"""What was said of each thing asked: the class of a word, the tokens written for a source."""


class Contender(ABC):
    """Something that computes the same as the others, in its own way.

    Attributes:
        name: What it is called in tables.
        precision: What it computes in.
        by_length: Whether its batches are of texts of like lengths, sorted over all texts.
        own_batches: Whether it is given all texts at once, to make batches of its own.
        foreign: Whether it is somebody else's code, whose failure is told in its row.
    """

    name: str
    precision: str
    by_length: bool = False
    own_batches: ClassVar[bool] = False
    foreign: ClassVar[bool] = False

    @abstractmethod
    def run(self, batch: Sequence[Any]) -> Any:
        """Compute one batch of encoded texts: what the clock sees."""

    @abstractmethod
    def answers(self, batch: Sequence[Any], output: Any) -> Answers:
        """Read what ``run`` gave, outside the clock."""


class PlainModel(Contender):
    """The transformers model as users run it: padded batches.

    Args:
        model: The model with exits, of which it is a part.
        by_length: Whether batches are of texts of like lengths, or in the order they come.
    """

    name = "plain transformers"

    def __init__(self, model: Any, by_length: bool = False) -> None:
        if freed(model.network):
            raise gone("compared with its plain one")
        self._model, self.by_length = model, by_length
        if by_length:
            self.name = "plain, sorted"
        self._network: Any = evaluated(model.network)
        self.precision = precision_of(self._network.dtype)


@dataclass(frozen=True)
class Missing:
    """What was asked for and cannot be timed.

    Attributes:
        name: What it is called in tables.
        precision: What it would have computed in.
        reason: Why, and what to do about it.
    """

    name: str
    precision: str
    reason: str


def because(error: Exception) -> str:
    """A foreign failure in one line."""
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
