"""What was written, compared with references or with full depth, text by text.

Confident adaptive language modelling (Schuster et al. 2022) promises two things: *textual
consistency*, that texts are near those of full depth, and *risk consistency*, that they are no
further from the references. ``differs`` is the first, ``loss`` the second, in which a text that
exits make better counts against those that they make worse; ``kept`` is the same as a share of what
full depth has.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from tokenexit.guarantees.losses.base import LOSSES, Columns, Loss, OnAverage, ratio
from tokenexit.guarantees.terms import Numbers, Terms


class Likeness:
    """How near one text is to references, from 0 to 1."""

    title: str

    @abstractmethod
    def of(self, text: str, references: Sequence[str]) -> float:
        """Of one text."""

    def each(self, texts: Sequence[str], references: Sequence[Sequence[str]]) -> Numbers:
        """Of each, ``[n]``."""
        pairs = zip(texts, references, strict=True)
        found = [_likeness(type(self), text, tuple(known)) for text, known in pairs]
        return np.array(found, dtype=np.float64)


L = TypeVar("L", bound=Likeness)


@lru_cache(maxsize=1)
def _measure(kind: type[Likeness]) -> Likeness:
    return kind()


@lru_cache(maxsize=2**17)
def _likeness(kind: type[Likeness], text: str, references: tuple[str, ...]) -> float:
    """Of one text, once: settings that are near each other write the same."""
    return _measure(kind).of(text, references)


class Differs(OnAverage):
    """Textual consistency: 1 less the likeness to full depth's text; no references are needed."""

    needs = ("said",)
    labelled = False
    kind = "share"
    likeness: type[Likeness]

    def words(self, allowed: float) -> str:
        """See ``Loss``."""
        return (
            f"texts are at least {100 * (1 - allowed):.4g}% like those of full depth by "
            f"{self.likeness.title}, averaged over texts"
        )

    def lost(self, exits: Columns, full: Columns) -> Numbers:
        """See ``OnAverage``."""
        said: Any = full["said"]
        return np.clip(1 - self.likeness().each(exits["said"], [[text] for text in said]), 0, 1)


class Costs(OnAverage):
    """Risk consistency: points of likeness to the references that exits cost."""

    needs = ("said", "references")
    likeness: type[Likeness]

    def words(self, allowed: float) -> str:
        """See ``Loss``."""
        return (
            f"exits cost at most {100 * allowed:.10g} points of {self.likeness.title}, averaged "
            "over texts"
        )

    def lost(self, exits: Columns, full: Columns) -> Numbers:
        """See ``OnAverage``."""
        measure, known = self.likeness(), full["references"]
        return measure.each(full["said"], known) - measure.each(exits["said"], known)


class Kept(Loss):
    """The share of full depth's mean likeness to the references."""

    at_least = True
    needs = ("said", "references")
    likeness: type[Likeness]

    def terms(self, exits: Columns, full: Columns, allowed: float) -> Terms:
        """See ``Loss``."""
        here, deep = self._both(exits, full)
        z = here - allowed * deep
        return Terms(z, z, -allowed)

    def measured(self, exits: Columns, full: Columns) -> float:
        """The ratio of the two means."""
        here, deep = self._both(exits, full)
        return ratio(float(here.sum()), float(deep.sum()))

    def words(self, allowed: float) -> str:
        """See ``Loss``."""
        return (
            f"at least {100 * allowed:.10g}% of full depth's {self.likeness.title}, averaged over "
            "texts, is kept"
        )

    def _both(self, exits: Columns, full: Columns) -> tuple[Numbers, Numbers]:
        measure, known = self.likeness(), full["references"]
        return measure.each(exits["said"], known), measure.each(full["said"], known)


def promised(phrase: str) -> Callable[[type[L]], type[L]]:
    """Class decorator: register the promises by a likeness, each phrase with a word behind it."""

    def add(likeness: type[L]) -> type[L]:
        for word, base in (("differs", Differs), ("loss", Costs), ("kept", Kept)):
            told = {"likeness": likeness, "__doc__": base.__doc__, "__module__": __name__}
            LOSSES.register(f"{phrase} {word}")(
                type(f"{likeness.__name__}{base.__name__}", (base,), told)
            )
        return likeness

    return add
