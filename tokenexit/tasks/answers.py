"""What is said of a text, for people."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ClassifiedText:
    """One text with its label.

    Attributes:
        label: Predicted label.
        confidence: Its probability.
        exit_layer: Layer at which the text left the network, from 1.
        text: The text, or both of a pair.
    """

    label: str
    confidence: float
    exit_layer: int
    text: str | list[str]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return asdict(self)


@dataclass(frozen=True)
class ScoredText:
    """One text with its number.

    Attributes:
        value: Predicted number.
        exit_layer: Layer at which the text left the network, from 1.
        text: The text, or both of a pair.
    """

    value: float
    exit_layer: int
    text: str | list[str]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return asdict(self)
