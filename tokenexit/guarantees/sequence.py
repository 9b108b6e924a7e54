"""Settings tested in an order fixed beforehand, strict to loose, until one fails.

So the first test does not pay for the others (fixed-sequence testing in Learn then Test,
Angelopoulos et al. 2021), and the last setting that passed may be served. What loose settings keep
sooner, such as layers saved, is tested afterwards, at the settings that passed; these share its
``delta``, the first of them half of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenexit.errors import UserError
from tokenexit.guarantees.bounds import BOUNDS, Bound, bound_for
from tokenexit.guarantees.groups import groups_of
from tokenexit.guarantees.guarantee import Guarantee
from tokenexit.guarantees.losses import Columns
from tokenexit.guarantees.terms import Terms

PLAY = 1e-12
"""Sums of losses are whole numbers up to rounding."""


@dataclass(frozen=True)
class Tested:
    """One promise about one group of texts, at one setting.

    Attributes:
        guarantee: The promise.
        group: Of which texts; empty for all.
        texts: How many, or documents.
        measured: What the number is on them.
        evidence: Against "the promise is broken", on a log scale.
        passed: Whether that is enough.
        bound: By which test.
    """

    guarantee: str
    group: str
    texts: int
    measured: float
    evidence: float
    passed: bool
    bound: str

    def to_json(self) -> dict[str, Any]:
        """As plain data; infinite evidence, of a binomial of no chance, as a large number."""
        return {**vars(self), "evidence": min(self.evidence, 1e9)}


@dataclass
class FixedSequence:
    """Tests one setting after the other on the same texts.

    Args:
        guarantees: All of which have to hold.
        full: What was counted at full depth.
        order: Numbers of the texts in the order in which they are tested; see ``order_of``.
        documents: Number of each text's document, ``[n]``; None where each stands for itself.
        horizon: Texts that the test was planned for; those of ``order`` when None.
        resumed: Whether texts are added and looked at again.
    """

    guarantees: Sequence[Guarantee]
    full: Columns
    order: NDArray[np.int64]
    documents: NDArray[np.int64] | None = None
    horizon: int | None = None
    resumed: bool = False
    _worst: dict[tuple[str, str], NDArray[np.float64]] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        """What a promise counts, in the plural."""
        return "texts" if self.documents is None else "documents"

    @property
    def units(self) -> int:
        """How many of them test."""
        if self.documents is None:
            return len(self.order)
        return len(np.unique(self.documents[self.order]))

    @property
    def in_order(self) -> list[Guarantee]:
        """Those that strict settings keep sooner."""
        return [one for one in self.guarantees if one.kind.strict_first]

    def afterwards(self, passed: Sequence[Columns]) -> tuple[int, list[list[Tested]]]:
        """How many of the settings that passed to take: up to the last that saves enough.

        Args:
            passed: What was counted with each, strict to loose.

        Returns:
            The place of the setting that may be served, from 1, 0 for none; and the tests.
        """
        others = [one for one in self.guarantees if not one.kind.strict_first]
        if not others:
            return len(passed), []
        tests = []
        for place, exits in enumerate(passed, 1):
            part = place * (place + 1)  # 1/2 + 1/6 + 1/12 + ... is 1, however many settings pass
            shared = [replace(one, delta=one.delta and one.delta / part) for one in others]
            tests.append(self.test(exits, shared))
        kept = [n for n, row in enumerate(tests, 1) if all(one.passed for one in row)]
        return max(kept, default=0), tests

    def test(self, exits: Columns, guarantees: Sequence[Guarantee] | None = None) -> list[Tested]:
        """Test the next setting.

        Args:
            exits: What was counted of the same texts with it.
            guarantees: Other promises than those tested in order.

        Raises:
            UserError: A loss is not finite, or a promise on average has gains in it.
        """
        return [
            self._one(guarantee, group, exits, texts)
            for guarantee in (self.in_order if guarantees is None else guarantees)
            for group, texts in groups_of(guarantee.every, self.full).items()
        ]

    def last(self, settings: Iterable[Columns]) -> tuple[int, list[list[Tested]]]:
        """How many settings pass, from the first, and all tests that were made.

        Settings are read one by one: none is run after the first that fails.
        """
        tests: list[list[Tested]] = []
        for exits in settings:
            tests.append(self.test(exits))
            if not all(one.passed for one in tests[-1]):
                return len(tests) - 1, tests
        return len(tests), tests

    def needed(self, exits: Columns | None = None) -> dict[str, int | None]:
        """Texts that each promise takes, by its text.

        Args:
            exits: What was counted with a setting that goes on to cost as much, for an estimate;
                nothing is lost when None.
        """
        found: dict[str, int | None] = {}
        for guarantee in self.in_order:
            for texts in groups_of(guarantee.every, self.full).values():
                terms = self._terms(guarantee, self.full if exits is None else exits, texts)
                if guarantee.delta is None:
                    count: int | None = max(1, math.ceil(1 / guarantee.allowed) - 1)
                elif not len(terms):
                    count = None
                else:
                    count = self._bound(guarantee, terms).needed(terms, guarantee.delta)
                held = found.get(str(guarantee), 0)
                found[str(guarantee)] = (
                    None if None in (held, count) else max(held or 0, count or 0)
                )
        return found

    def counts_up_to(self, guarantee: Guarantee) -> float:
        """What a text loses counts up to this: the least limit, of all groups."""
        groups = groups_of(guarantee.every, self.full).values()
        return min(
            self._settled(guarantee, self.full, texts).counts_up_to
            for texts in (list(groups) or [self.order])
        )

    def _terms(self, guarantee: Guarantee, exits: Columns, group: NDArray[np.int64]) -> Terms:
        terms = guarantee.kind.terms(exits, self.full, guarantee.allowed)
        if not (np.isfinite(terms.low).all() and np.isfinite(terms.high).all()):
            raise UserError(f"{guarantee.loss!r} is not finite on some text; look at its answers.")
        texts = self.order[np.isin(self.order, group)]
        if self.documents is None:
            return terms.take(texts)
        # Documents in the order of their first texts.
        numbers = self.documents[texts]
        _, first, place = np.unique(numbers, return_index=True, return_inverse=True)
        rank = np.argsort(np.argsort(first))
        return terms.take(texts).pooled(rank[place])

    def _settled(self, guarantee: Guarantee, exits: Columns, group: NDArray[np.int64]) -> Terms:
        terms = self._terms(guarantee, exits, group).settled(self.horizon)
        least, floor = np.minimum(terms.low, terms.high), np.asarray(terms.floor)
        below = least < floor - 1e-9
        if below.any():
            given, at_least = least[below][0], np.broadcast_to(floor, least.shape)[below][0]
            raise UserError(
                f"{guarantee.loss!r} gave {given:g} for a text, below its floor {at_least:g}: no "
                "bound holds for it."
            )
        return terms

    def _one(
        self, guarantee: Guarantee, group: str, exits: Columns, texts: NDArray[np.int64]
    ) -> Tested:
        terms = self._settled(guarantee, exits, texts)
        here = {name: _some(values, texts) for name, values in exits.items()}
        deep = {name: _some(values, texts) for name, values in self.full.items()}
        measured = guarantee.kind.measured(here, deep) if len(texts) else math.nan
        about = (str(guarantee), group, len(terms), measured)
        if guarantee.delta is None:
            room = self._room(guarantee, group, terms)
            return Tested(*about, room, room >= -PLAY and len(terms) > 0, "conformal risk control")
        bound = self._bound(guarantee, terms)
        evidence = bound.evidence(terms, guarantee.delta, self.horizon) if len(terms) else 0.0
        passed = bound.passes(terms, guarantee.delta, self.horizon)
        return Tested(*about, evidence, passed, BOUNDS.name_of(type(bound)))

    def _bound(self, guarantee: Guarantee, terms: Terms) -> Bound:
        return bound_for(terms, self.resumed, guarantee.bound)

    def _room(self, guarantee: Guarantee, group: str, terms: Terms) -> float:
        """What is allowed less the average that conformal risk control bounds.

        Its theorem asks for losses that only grow as settings get looser: a text that has been
        lost stays lost.
        """
        if terms.kind == "signed":
            raise UserError(
                f"{guarantee.loss!r} counts gains against losses, which a promise on average "
                'cannot; write "with 90%".'
            )
        key = (str(guarantee), group)
        worst = np.maximum(self._worst.get(key, 0.0), terms.loss)
        self._worst[key] = worst
        return guarantee.allowed - (float(worst.sum()) + 1) / (len(worst) + 1)


def _some(values: Any, texts: NDArray[np.int64]) -> Any:
    return values[texts] if isinstance(values, np.ndarray) else [values[n] for n in texts]
