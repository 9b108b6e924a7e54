"""What tagging returns: plain data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
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
        score: Mean of its words' confidences, as transformers' pipeline tells.
    """

    type: str
    text: str
    start: int
    end: int
    start_char: int | None = None
    end_char: int | None = None
    score: float | None = field(default=None, compare=False)


@dataclass(frozen=True)
class TaggedWord:
    """One word with its label.

    Attributes:
        text: The word.
        label: Predicted label.
        score: Its probability.
        exit_layer: Layer at which the word left the network, from 1.
        start_char: Where it begins in the text, when the input was a string.
        end_char: Where it ends.
    """

    text: str
    label: str
    score: float
    exit_layer: int
    start_char: int | None = None
    end_char: int | None = None


@dataclass(frozen=True)
class TaggedText:
    """One text with a label for each word; iterates over its words.

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

    def __len__(self) -> int:
        return len(self.words)

    def __bool__(self) -> bool:
        return True  # a text without words is a result as well

    def __iter__(self) -> Iterator[TaggedWord]:
        return (self[place] for place in range(len(self)))

    def __getitem__(self, place: int) -> TaggedWord:
        start, end = (None, None) if self.offsets is None else self.offsets[place]
        return TaggedWord(
            self.words[place],
            self.labels[place],
            self.confidences[place],
            self.exit_layers[place],
            start,
            end,
        )

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
            scores = self.confidences[span.start : span.end]
            score = round(sum(scores) / len(scores), 6)
            found.append(Entity(span.type, text, span.start, span.end, start, end, score))
        return found

    def entity_groups(self) -> list[dict[str, Any]]:
        """Entities as transformers' pipeline tells them when it aggregates."""
        return [
            {
                "entity_group": entity.type,
                "score": entity.score,
                "word": entity.text,
                "start": entity.start_char,
                "end": entity.end_char,
            }
            for entity in self.entities
        ]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data, entities included where labels have them."""
        data = {key: value for key, value in asdict(self).items() if value is not None}
        # A text in which nothing was found has entities as well: none.
        if is_bio(self.labels) or any(label[:2] in ("B-", "I-") for label in self.labels):
            data["entities"] = [asdict(entity) for entity in self.entities]
        return data
