"""How raw text becomes words: as the texts were split that the model learned from."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from tokenexit.errors import UserError
from tokenexit.models.splitting.words import Span, split_words

logger = logging.getLogger(__name__)

# Han, kana, bopomofo, Thai, Lao, Tibetan, Myanmar, Khmer: no space stands between their words.
_UNSPACED = (
    "\u3005\u3007\u3040-\u30ff\u3100-\u312f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\U00020000-\U0003ffff"
)
UNSPACED = re.compile(f"[{_UNSPACED}]")
_CLAUSE = re.compile(f"[{_UNSPACED}](?:[^\\W\\d_]|[^\\w\\s])*[{_UNSPACED}]")
CLITIC = re.compile(r"(?i)(?:n['’]t|['’](?:s|m|re|ve|ll|d))$")
_CANNOT = re.compile(r"(?i)(?<=^can)not$")
HYPHEN = re.compile(r"(?<=\w\w)-(?=\w)")


def _words(text: str) -> list[Span]:
    return split_words(text)[1]


def _whitespace(text: str) -> list[Span]:
    return [found.span() for found in re.finditer(r"\S+", text)]


def _characters(text: str) -> list[Span]:
    """Every visible character with the marks that belong to it."""
    spans: list[Span] = []
    for place, character in enumerate(text):
        kind = unicodedata.category(character)
        if spans and spans[-1][1] == place and (kind[0] == "M" or kind == "Cf"):
            spans[-1] = spans[-1][0], place + 1
        elif not character.isspace() and kind != "Cf":
            spans.append((place, place + 1))
    return spans


def _clitics(word: str) -> list[int]:
    """Where ``don't``, ``it's`` and ``cannot`` come apart."""
    found = CLITIC.search(word) or _CANNOT.search(word)
    return [found.start()] if found and found.start() and word[0].isalnum() else []


def _hyphens(word: str) -> list[int]:
    if "@" in word or "//" in word:
        return []
    return [place for found in HYPHEN.finditer(word) for place in found.span()]


def _unspaced(word: str) -> list[int]:
    """Before and after each letter of a script without spaces."""
    if UNSPACED.search(word) is None:
        return []
    spans = _characters(word)
    apart = [bool(UNSPACED.match(word[start])) for start, _ in spans]
    return [spans[place][0] for place in range(1, len(spans)) if apart[place] or apart[place - 1]]


BASES: dict[str, Callable[[str], list[Span]]] = {
    "words": _words,
    "whitespace": _whitespace,
    "characters": _characters,
}
CUTS: dict[str, Callable[[str], list[int]]] = {
    "clitics": _clitics,
    "hyphens": _hyphens,
    "unspaced": _unspaced,
}


@dataclass(frozen=True)
class Splitter:
    """Splits raw text.

    Attributes:
        base: ``words`` (and punctuation marks), ``whitespace`` or ``characters``.
        cuts: What else comes apart: ``clitics`` (``do n't``, ``it 's``), ``hyphens``
            (``well - known``), ``unspaced`` (Chinese, Japanese, Thai and the like, by character).
    """

    base: str = "words"
    cuts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As it is saved and written in a recipe: ``words+clitics``."""
        return "+".join((self.base, *self.cuts))

    def __call__(self, text: str) -> list[Span]:
        """Where the words stand, as ``(start, end)``."""
        spans = BASES[self.base](text)
        cuts = list(self.cuts)
        if self.base == "words" and "unspaced" not in cuts:
            cuts.append("unspaced")  # never one word a clause
        for name in cuts:
            spans = [
                part for span in spans for part in _apart(span, CUTS[name](text[slice(*span)]))
            ]
        return spans

    def guesses(self, text: str) -> bool:
        """Whether a text in a script without spaces is split as nobody said it should be."""
        known = self.base != "words" or "unspaced" in self.cuts
        return not (known or text.isascii()) and _CLAUSE.search(text) is not None


@lru_cache(maxsize=64)
def splitter(name: str) -> Splitter:
    """The splitter of a name such as ``words+clitics``.

    Raises:
        UserError: There is none.
    """
    parts = name.split("+") if isinstance(name, str) else [""]
    base, cuts = parts[0], tuple(parts[1:])
    if base not in BASES or not set(cuts) <= CUTS.keys() or len(set(cuts)) < len(cuts):
        raise UserError(
            f"There is no splitter {name!r}: give {', '.join(BASES)}, and behind a + what else "
            f"comes apart, of {', '.join(CUTS)}; such as words+clitics."
        )
    return Splitter(base, cuts)


def warn_of_guesses(chosen: Splitter, texts: Iterable[str]) -> None:
    """Say that texts in scripts without spaces were split by character, if any were."""
    count = sum(chosen.guesses(text) for text in texts)
    if count:
        logger.warning(
            "%d text(s) in a script without spaces are split by character, which the model did "
            "not learn from: give lists of words, or choose a splitter, such as "
            'model.configure(splitter="words+unspaced") or --splitter words+unspaced if characters '
            "are right.",
            count,
        )


def _apart(span: Span, places: Sequence[int]) -> list[Span]:
    start, end = span
    edges = [start, *sorted({start + place for place in places if 0 < place < end - start}), end]
    return list(pairwise(edges))
