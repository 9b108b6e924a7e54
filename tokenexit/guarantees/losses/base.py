"""A loss: what exits may cost, as one number a text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from tokenexit.errors import UserError
from tokenexit.guarantees.terms import Kind, Numbers, Terms
from tokenexit.registry import Registry

LOSSES: Registry[Loss] = Registry("loss", "tokenexit.guarantees.losses")

Columns = Mapping[str, Any]
"""What was counted of each text in one run: arrays ``[n]`` by name, or lists of strings.

``rows``: words (1 where the text is the row); ``changed``: rows that differ from full depth;
``right``: rows that are right; ``f1_over``, ``f1_under``: twice the right entities, and found and
gold ones together;
``error``: absolute error; ``brier``: squared distance of the probabilities from the truth;
``layers``: sum of exit layers over rows; ``deep``: the same had nobody left early; ``said``: what
was written; ``references``: of each text one or more; ``exact``: whether all of a text is right.
"""


class Loss(ABC):
    """One thing that may be promised. A value without state, registered under its phrase.

    The phrase is what a user writes before the number: ``f1 kept`` of ``f1 kept >= 0.99``.
    """

    at_least: ClassVar[bool] = False
    """Whether the number is a least value (``kept``, ``saved``), not a largest one."""

    low: ClassVar[float] = 0.0
    high: ClassVar[float] = 1.0
    """Between which the number lies, ends left out."""

    needs: ClassVar[tuple[str, ...]]
    """Columns that it reads of a run with exits and of one at full depth."""

    of_whole_texts: ClassVar[bool] = False
    """Whether it is about answers to whole texts, not to their words."""

    labelled: ClassVar[bool] = True
    """Whether right answers are needed."""

    strict_first: ClassVar[bool] = True
    """Whether full depth keeps it, and stricter settings sooner than looser ones."""

    @abstractmethod
    def terms(self, exits: Columns, full: Columns, allowed: float) -> Terms:
        """One number a text: see ``Terms``.

        Args:
            exits: What was counted with exits.
            full: The same texts at full depth.
            allowed: The number of the promise.
        """

    @abstractmethod
    def measured(self, exits: Columns, full: Columns) -> float:
        """What the number is on these texts; NaN where it is 0 divided by 0."""

    @abstractmethod
    def words(self, allowed: float) -> str:
        """The promise as a clause: ``at most 5% of texts differ anywhere from full depth``."""

    @property
    def name(self) -> str:
        """Its phrase."""
        return LOSSES.name_of(type(self))

    def check(self, allowed: float) -> None:
        """Refuse a number that promises nothing, or what nobody can keep.

        Raises:
            UserError: Says between which it must lie.
        """
        if not self.low < allowed < self.high:
            raise UserError(
                f"The number of the promise {self.name!r} must lie between {self.low:g} and "
                f"{self.high:g}, not {allowed!r}."
            )


class OnAverage(Loss):
    """A loss that is the mean over texts of what each loses."""

    kind: ClassVar[Kind] = "signed"
    """Whether a text may gain: ``share`` where it loses from 0 to 1."""

    @abstractmethod
    def lost(self, exits: Columns, full: Columns) -> Numbers:
        """What each text loses, ``[n]``."""

    def terms(self, exits: Columns, full: Columns, allowed: float) -> Terms:
        """See ``Loss``."""
        return Terms.lost(self.lost(exits, full), allowed, self.kind)

    def measured(self, exits: Columns, full: Columns) -> float:
        """The mean."""
        return float(self.lost(exits, full).mean())


class OfSums(Loss):
    """A loss that is one sum over another, so that long texts count more than short ones."""

    sums: ClassVar[tuple[str, str]]
    """A column of the run with exits, and the one of full depth under it."""

    def measured(self, exits: Columns, full: Columns) -> float:
        """The sum over all texts with exits, by that at full depth."""
        over, under = self.sums
        return ratio(float(column(exits, over).sum()), float(column(full, under).sum()))


def column(columns: Columns, name: str) -> Any:
    """A column as numbers, ``[n]`` float64."""
    return np.asarray(columns[name], dtype=np.float64)


def ratio(over: float, under: float) -> float:
    """A quotient; NaN where nothing is divided by nothing."""
    return over / under if under else float("nan")
