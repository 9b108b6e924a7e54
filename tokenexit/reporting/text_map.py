"""A sample of generated texts with each token coloured by the layer at which it left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from tokenexit.reporting.generated_trace import GeneratedText, GeneratedTrace
from tokenexit.reporting.heatmap import Cell, Group, HeatmapLine
from tokenexit.reporting.run import RunData
from tokenexit.reporting.sample import sample
from tokenexit.wording.subwords import Subword, joined, subwords

LONGEST = 160
"""Tokens shown of one text."""

MOST = 700
"""Letters shown of a source or a reference."""

EMPTY = "·"
"""Shown for a token without a letter of its own."""


@dataclass(frozen=True)
class Token(Cell):
    """One token; ``wrong`` where the full depth writes something else.

    Attributes:
        spaced: Whether there is a space in front.
        special: Whether it is no text, such as the end token.
    """

    spaced: bool
    special: bool


@dataclass(frozen=True)
class Passage(HeatmapLine):
    """One generated text.

    Attributes:
        source: What it was written for, if known.
        reference: What a human wrote, if known.
        full: What was generated at full depth, if known.
        same: Whether that is the same.
    """

    source: str | None
    reference: str | None
    full: str | None
    same: bool


def text_map(run: RunData) -> list[Group]:
    """Choose texts: unlike the full depth's, with deep tokens, and a draw at even distances."""
    written = run.generated_trace
    if written is None or not len(written):
        return []
    texts = _shown(run, written)
    wanted = {"Texts with the deepest tokens": [_depth(text) for text in texts]}
    if written.compared:
        unlike = [_unlike(text) for text in texts]
        wanted = {"Texts that differ most from full depth": unlike, **wanted}
    chosen = sample(len(texts), wanted)
    return [
        Group(title, [_passage(written, texts[row], run.num_layers) for row in rows])
        for title, rows in chosen.items()
    ]


def _shown(run: RunData, written: GeneratedTrace) -> Sequence[GeneratedText]:
    """Texts that may be shown: those whose other settings are known, if any are."""
    held = set() if run.settings is None else run.settings.texts
    return [text for text in written.texts if text.number in held] or written.texts


def text_cells(
    written: GeneratedTrace, text: GeneratedText, layers: int
) -> tuple[list[Token], int]:
    """The tokens of one text that are shown, and how many more there are."""
    shown = subwords(text.tokens, written.marking)
    notes = _notes(written, text)
    cells = [
        _cell(text, place, subword, notes[place], layers)
        for place, subword in enumerate(shown[:LONGEST])
    ]
    return cells, len(shown) - len(cells)


def _depth(text: GeneratedText) -> float:
    """Mean depth of the three deepest tokens."""
    deepest = sorted(text.exit_layers)[-3:]
    return sum(deepest) / len(deepest)


def _unlike(text: GeneratedText) -> float:
    """Share of tokens that only one of the two texts has."""
    ours, deep = Counter(text.tokens), Counter(text.full or text.tokens)
    apart = (ours - deep).total() + (deep - ours).total()
    return apart / (ours.total() + deep.total())


def _passage(written: GeneratedTrace, text: GeneratedText, layers: int) -> Passage:
    cells, left_out = text_cells(written, text, layers)
    deep = None if text.full is None else joined(subwords(text.full, written.marking))
    return Passage(
        number=text.number,
        depth=sum(text.exit_layers) / len(text.exit_layers),
        cells=cells,
        left_out=left_out,
        source=_short(text.source),
        reference=_short(text.reference),
        full=_short(deep),
        same=text.full == text.tokens,
    )


def _cell(
    text: GeneratedText, place: int, subword: Subword, note: str | None, layers: int
) -> Token:
    told = [f"left at layer {text.exit_layers[place]} of {layers}"]
    if text.full is not None:
        told.append(note or "as at full depth")
    return Token(
        word=subword.text or EMPTY,
        layer=text.exit_layers[place],
        wrong=note is not None,
        strong=False,
        head=text.tokens[place],
        note="\n".join(told),
        spaced=subword.spaced,
        special=subword.special,
    )


def _notes(written: GeneratedTrace, text: GeneratedText) -> list[str | None]:
    """What the full depth writes instead of each token; None where it writes the same.

    Tokens are aligned: one that was put in does not make all later ones differ.
    """
    notes: list[str | None] = [None] * len(text.tokens)
    if text.full is None:
        return notes
    matcher = SequenceMatcher(None, text.tokens, text.full, autojunk=False)
    for kind, start, end, deep_start, deep_end in matcher.get_opcodes():
        if kind != "equal":
            instead = joined(subwords(text.full[deep_start:deep_end], written.marking))
            note = f"full depth writes: {_short(instead, 80)}" if instead else "not at full depth"
            notes[start:end] = [note] * (end - start)
    return notes


def _short(text: str | None, most: int = MOST) -> str | None:
    return text if text is None or len(text) <= most else text[:most].rsplit(" ", 1)[0] + " …"
