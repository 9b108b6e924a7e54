"""What tagging returns: plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tokenexit.data.bio import is_bio, spans


@dataclass(frozen=True)
class Entity:
    """A labelled stretch of words.

    Attributes:
        type: Its label without prefix.
        text: Its words as they stood in the text.
        start: First word.
        end: One past the last word.
        start_char: Where it begins in the text, when the input was a string.
        end_char: Where it ends.
    """

    type: str
    text: str
    start: int
    end: int
    start_char: int | None = None
    end_char: int | None = None


@dataclass(frozen=True)
class TaggedText:
    """One text with a label for each word.

    Attributes:
        words: The words.
        labels: Predicted label of each.
        exit_layers: Layer at which each word left the network, from 1.
        confidences: Probability of each predicted label.
        text: The input, when it was a string.
        offsets: Where each word stands in ``text``, as ``(start, end)``.
    """

    words: list[str]
    labels: list[str]
    exit_layers: list[int]
    confidences: list[float]
    text: str | None = None
    offsets: list[tuple[int, int]] | None = None

    @property
    def entities(self) -> list[Entity]:
        """Entities, for labels in the BIO scheme; an I without a B begins one (as seqeval)."""
        found = []
        for span in spans(self.labels):
            chars: tuple[int, int] | None = None
            text = " ".join(self.words[span.start : span.end])
            if self.offsets is not None and self.text is not None:
                chars = self.offsets[span.start][0], self.offsets[span.end - 1][1]
                text = self.text[chars[0] : chars[1]]
            start, end = chars or (None, None)
            found.append(Entity(span.type, text, span.start, span.end, start, end))
        return found

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data, entities included where labels have them."""
        data = {key: value for key, value in asdict(self).items() if value is not None}
        # A text in which nothing was found has entities as well: none.
        if is_bio(self.labels) or any(label[:2] in ("B-", "I-") for label in self.labels):
            data["entities"] = [asdict(entity) for entity in self.entities]
        return data
