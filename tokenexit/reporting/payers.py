"""Which words or tokens pay: from a trace that says where an oracle would let them leave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tokenexit.oracle import Rows, Tally, tallies, tally, token_rows
from tokenexit.oracle.tokens import Text, compared, token_kinds
from tokenexit.reporting.run import RunData
from tokenexit.wording.subwords import Subword, subwords

MOST = 12
"""Examples shown of each kind."""

LONGEST = 60
"""Letters shown of one; a text to classify has more."""


@dataclass(frozen=True)
class Example:
    """Rows that are alike.

    Attributes:
        word: The word, token or text.
        full: What full depth says.
        said: What was said instead; the same for late leavers.
        count: How many there are.
        left: Layer at which they left, on average.
        oracle: Layer at which the oracle lets them leave, on average.
        lost: Layers they lost.
    """

    word: str
    full: str
    said: str
    count: int
    left: float
    oracle: float
    lost: int


@dataclass(frozen=True)
class Payers:
    """What the section on the oracle shows.

    Attributes:
        total: All rows that can be compared.
        classes: The same by class; those that lose most layers first.
        alarms: The most frequent false alarms.
        late: Those that lose most layers.
        places: Layers with an exit, and any at which rows left.
        crossing: Share of rows by the oracle's place and by where they left, ``[P][P]``.
        layers: Rows that the oracle lets leave at each layer, from the first.
        left_out: Rows that cannot be compared.
    """

    total: Tally
    classes: Sequence[Tally]
    alarms: Sequence[Example]
    late: Sequence[Example]
    places: Sequence[int]
    crossing: Sequence[Sequence[float]]
    layers: Sequence[int]
    left_out: int


@dataclass(frozen=True)
class _Told:
    """Names beside rows: their class, themselves, what full depth says and what was said."""

    label: Sequence[str]
    word: Sequence[str]
    full: Sequence[str]
    said: Sequence[str]


def payers(run: RunData) -> Payers | None:
    """Sort out a trace; None where it does not know the oracle."""
    found = _of_tokens(run) if run.generates else _of_words(run)
    if found is None or not len(found[0]):
        return None
    rows, told, left_out = found
    depth = max(run.num_layers, int(rows.oracle.max()), int(rows.left.max()))
    crossing = np.zeros((depth, depth))
    np.add.at(crossing, (rows.oracle - 1, rows.left - 1), 1)
    places = sorted({*run.exit_layers, *rows.left.tolist(), *rows.oracle.tolist()})
    at = [place - 1 for place in places if place <= depth]
    return Payers(
        total=tally(rows, "all", depth),
        classes=tallies(rows, told.label, depth),
        alarms=_examples(rows, told, rows.alarms, by_lost=False),
        late=_examples(rows, told, rows.late, by_lost=True),
        places=[place + 1 for place in at],
        crossing=(crossing[np.ix_(at, at)] / len(rows)).tolist(),
        layers=crossing.sum(axis=1).astype(int).tolist(),
        left_out=left_out,
    )


def _of_words(run: RunData) -> tuple[Rows, _Told, int] | None:
    words = run.words
    if words is None or words.oracle_layer is None:
        return None
    assert words.top_class is not None
    assert words.exit_class is not None
    rows = Rows(words.exit_layer, words.oracle_layer, words.exit_class != words.top_class)
    full = [run.label(number) for number in words.top_class.tolist()]
    said = [run.label(number) for number in words.exit_class.tolist()]
    return rows, _Told(full, words.word, full, said), 0


def _of_tokens(run: RunData) -> tuple[Rows, _Told, int] | None:
    written = run.generated_trace
    if written is None:
        return None
    texts = [
        Text(text.tokens, text.exit_layers, text.full, text.oracle)
        for text in written.texts
        if text.full is not None and text.oracle is not None
    ]
    rows, marked = token_rows(texts), written.marking
    shown: list[str] = []
    said: list[str] = []
    for text in texts:
        count = compared(text.tokens, text.full)
        shown += _readable(subwords(text.full, marked)[:count])
        said += _readable(subwords(text.tokens, marked)[:count])
    told = _Told(token_kinds(texts, marked), shown, shown, said)
    return rows, told, len(written) - len(rows)


def _readable(shown: Sequence[Subword]) -> list[str]:
    """Tokens of a text, with dots in front of the rest of a word."""
    inside = [
        place > 0 and not subword.spaced and not subword.special and subword.text[:1].isalnum()
        for place, subword in enumerate(shown)
    ]
    texts = [subword.text or "·" for subword in shown]
    return [f"…{text}" if rest else text for rest, text in zip(inside, texts, strict=True)]


def _examples(rows: Rows, told: _Told, mask: np.ndarray, by_lost: bool) -> list[Example]:
    """Rows of a mask that are alike, the most frequent or the dearest first."""
    places: dict[tuple[str, str, str], list[int]] = {}
    for row in np.flatnonzero(mask).tolist():
        places.setdefault((told.word[row], told.full[row], told.said[row]), []).append(row)
    lost = {key: int(rows.lost[found].sum()) for key, found in places.items()}
    weight = lost if by_lost else {key: len(found) for key, found in places.items()}
    return [
        Example(
            word=_short(key[0]),
            full=_short(key[1]),
            said=_short(key[2]),
            count=len(places[key]),
            left=float(rows.left[places[key]].mean()),
            oracle=float(rows.oracle[places[key]].mean()),
            lost=lost[key],
        )
        for key, _ in Counter(weight).most_common(MOST)
    ]


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 2] + " …"
