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
        tip: What a hover tells.
    """

    word: str
    layer: int
    wrong: bool
    strong: bool
    tip: str


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
    """Choose texts: with errors, with deep words, and a draw at even distances."""
    words = run.words
    if words is None or not len(words):
        return []
    wrong, deep = TITLES[run.unit]
    chosen = sample(
        len(words.bounds),
        {
            wrong: [int(words.wrong[a:b].sum()) for a, b in words.bounds],
            deep: [_depth(words, a, b) for a, b in words.bounds],
        },
    )
    return [Group(title, [_line(run, words, r) for r in rows]) for title, rows in chosen.items()]


def _depth(words: WordTrace, start: int, end: int) -> float:
    """Mean depth of the three deepest words: one deep word in a long text is what we look for."""
    return float(np.sort(words.exit_layer[start:end])[-3:].mean())


def _line(run: RunData, words: WordTrace, row: int) -> HeatmapLine:
    start, end = words.bounds[row]
    shown = range(start, min(end, start + LONGEST))
    return HeatmapLine(
        number=int(words.text[start]),
        depth=float(words.exit_layer[start:end].mean()),
        cells=[_cell(run, words, place) for place in shown],
        left_out=end - start - len(shown),
    )


def _cell(run: RunData, words: WordTrace, place: int) -> Cell:
    label = fixed if words.numbers else run.label
    predicted = label(words.prediction[place].item())
    gold = label(words.gold[place].item()) if words.known[place] else None
    layer = int(words.exit_layer[place])
    tip = [
        words.word[place],
        f"predicted {predicted}" + (f", gold {gold}" if gold else ""),
        f"left at layer {layer} of {run.num_layers}",
        *([] if words.numbers else [f"confidence {words.confidence[place]:.2f}"]),
    ]
    return Cell(
        word=words.word[place],
        layer=layer,
        wrong=bool(words.wrong[place]),
        strong=(gold or predicted)[:2] in ("B-", "I-"),
        tip="\n".join(tip),
    )
