"""How an answer is shown to people: its pieces, each with the layer at which it left."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Piece:
    """A word, a text or a token.

    Attributes:
        text: As people read it.
        layer: Layer at which it left the network, from 1.
        label: What was said of it, if anything.
        score: How sure that is, if known.
        spaced: Whether there is a space in front.
    """

    text: str
    layer: int
    label: str | None = None
    score: float | None = None
    spaced: bool = True


@dataclass(frozen=True)
class View:
    """What was said of one text.

    Attributes:
        answer: In one line.
        pieces: What left, in order.
    """

    answer: str
    pieces: list[Piece] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return asdict(self)
