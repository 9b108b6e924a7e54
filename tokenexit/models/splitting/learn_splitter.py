"""Which splitter gives back the words that a model is trained on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from tokenexit.models.splitting.splitter import CLITIC, HYPHEN, UNSPACED, Splitter

_MARKED = re.compile(r"\w+[,;:!?]")
_MARKS = frozenset(",;:!?")
_FEW = 5  # occurrences that tell a habit


def learn_splitter(texts: Sequence[Sequence[str]]) -> Splitter:
    """Read from split texts how they were split.

    Args:
        texts: Words of training texts.
    """
    words = [word for text in texts for word in text]
    marked = sum(_MARKED.fullmatch(word) is not None for word in words)
    if marked >= _FEW and marked > sum(word in _MARKS for word in words):
        return Splitter("whitespace")
    letters = [word for word in words if any(c.isalpha() for c in word)]
    if letters and sum(_single(word) for word in letters) > 0.9 * len(letters):
        return Splitter("characters")
    return Splitter("words", tuple(name for name, habit in _HABITS.items() if habit(words)))


def agreement(texts: Sequence[Sequence[str]], splitter: Splitter) -> float:
    """Share of texts that come back word by word when they are written and split again."""
    if not texts:
        return 1.0
    same = 0
    for text in texts:
        line = written(text)
        same += [line[start:end] for start, end in splitter(line)] == list(text)
    return same / len(texts)


def written(words: Sequence[str]) -> str:
    """Words as one writes them: with spaces, but for clitics and scripts that have none."""
    line = words[0] if words else ""
    for before, word in pairwise(words):
        attached = CLITIC.fullmatch(word) and before[-1:].isalpha()
        unspaced = UNSPACED.search(before[-1:]) and UNSPACED.search(word[:1])
        line += word if attached or unspaced else f" {word}"
    return line


def _single(word: str) -> bool:
    """Whether a word is one character with its marks."""
    return len(word) == 1 or len(Splitter("characters")(word)) == 1


def _clitics_apart(words: Sequence[str]) -> bool:
    ends = [word for word in words if CLITIC.search(word)]
    apart = sum(CLITIC.fullmatch(word) is not None for word in ends)
    return apart >= _FEW and apart > len(ends) - apart


def _hyphens_apart(words: Sequence[str]) -> bool:
    apart = sum(word == "-" for word in words)
    inside = sum(
        HYPHEN.search(word) is not None and word.replace("-", "").isalpha() for word in words
    )
    return apart >= _FEW and apart > 4 * inside  # many stand between spaces


def _unspaced_apart(words: Sequence[str]) -> bool:
    found = [word for word in words if UNSPACED.match(word[:1])]
    return len(found) >= _FEW and sum(map(_single, found)) > 0.9 * len(found)


_HABITS = {
    "clitics": _clitics_apart,
    "hyphens": _hyphens_apart,
    "unspaced": _unspaced_apart,
}
