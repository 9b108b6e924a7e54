"""A sample of texts with each word coloured by the layer at which it left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tokenexit.reporting.run import RunData
from tokenexit.reporting.sample import sample
from tokenexit.reporting.word_trace import WordTrace
from tokenexit.wording.naming import fixed

LONGEST = 70
"""Words shown of one text."""

TITLES = {
    "word": ("Texts with most errors", "Texts with the deepest words"),
    "text": ("Wrong texts", "The deepest texts"),
}
"""Of the groups of texts, by what leaves."""


@dataclass(frozen=True)
class Cell:
    """One word.

    Attributes:
        word: The word.
        layer: Layer at which it left.
        wrong: Whether its gold label is another one.
        strong: Whether it belongs to an entity.
        head: What a hover tells first; empty where that is the word, and all there is to see.
        note: What it tells then.
    """

    word: str
    layer: int
    wrong: bool
    strong: bool
    head: str
    note: str

    @property
    def tip(self) -> str:
        """What a hover tells."""
        return f"{self.head}\n{self.note}" if self.head else self.note


@dataclass(frozen=True)
class HeatmapLine:
    """One text: its number, its mean exit layer, its words, and how many more there are."""

    number: int
    depth: float
    cells: Sequence[Cell]
    left_out: int


@dataclass(frozen=True)
class Group:
    """Texts chosen for the same reason."""

    title: str
    lines: Sequence[HeatmapLine]


def heat_map(run: RunData) -> list[Group]:
    """Choose texts: a draw at even distances, with errors, and with deep words."""
    words = run.words
    if words is None or not len(words):
        return []
    bounds = shown_bounds(run, words)
    wrong, deep = TITLES[run.unit]
    chosen = sample(
        len(bounds),
        {
            wrong: [int(words.wrong[a:b].sum()) for a, b in bounds],
            deep: [_depth(words, a, b) for a, b in bounds],
        },
    )
    return [
        Group(title, [heatmap_line(run, words, *bounds[row]) for row in rows])
        for title, rows in chosen.items()
    ]


def shown_bounds(run: RunData, words: WordTrace) -> list[tuple[int, int]]:
    """Bounds of texts that may be shown: those whose other settings are known, if any are."""
    held = set() if run.settings is None else run.settings.texts
    moved = [bound for bound in words.bounds if int(words.text[bound[0]]) in held]
    return moved or words.bounds


def _depth(words: WordTrace, start: int, end: int) -> float:
    """Mean depth of the three deepest words: one deep word in a long text is what we look for."""
    return float(np.sort(words.exit_layer[start:end])[-3:].mean())


def heatmap_line(run: RunData, words: WordTrace, start: int, end: int) -> HeatmapLine:
    """One text, from its first word to one past its last."""
    shown = range(start, min(end, start + LONGEST))
    return HeatmapLine(
        number=int(words.text[start]),
        depth=float(words.exit_layer[start:end].mean()),
        cells=[_cell(run, words, place) for place in shown],
        left_out=end - start - len(shown),
    )


def _sure(words: WordTrace, place: int) -> bool:
    """Whether it is known how sure an exit was; a number comes without."""
    return not words.numbers and bool(np.isfinite(words.confidence[place]))


def _cell(run: RunData, words: WordTrace, place: int) -> Cell:
    label = fixed if words.numbers else run.label
    predicted = label(words.prediction[place].item())
    gold = label(words.gold[place].item()) if words.known[place] else None
    layer = int(words.exit_layer[place])
    note = [
        f"predicted {predicted}" + (f", gold {gold}" if gold else ""),
        f"left at layer {layer} of {run.num_layers}",
        *([f"confidence {words.confidence[place]:.2f}"] if _sure(words, place) else []),
    ]
    return Cell(
        word=words.word[place],
        layer=layer,
        wrong=bool(words.wrong[place]),
        strong=(gold or predicted)[:2] in ("B-", "I-"),
        head="" if run.unit == run.holder else words.word[place],
        note="\n".join(note),
    )
