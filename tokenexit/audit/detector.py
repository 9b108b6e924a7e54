"""Detectors of a change at any time: bets that a mean has left its place.

Shiryaev-Roberts sums as e-detectors (Shin, Ramdas and Rinaldo 2023). Before any change a bet's
factor is 1 on average, so that the sum of all bets that might have begun grows by one a text, and
reaches ``threshold`` after that many texts or more on average.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from tokenexit.errors import UserError

WORSE = (0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6)
"""How much of the way from what is allowed to "everything differs" a change may be."""

FALL = (0.05, 0.1, 0.2, 0.4, 0.7, 0.9)
"""How boldly it is bet that less than what is allowed differs."""

GAP = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 0.95)
"""How boldly it is bet that exits cost more right answers than is allowed."""


@dataclass(frozen=True)
class Detector:
    """An immutable value; ``saw`` gives the next.

    The factor of a bet is ``1 + stake * (number - centre)``. With ``centre`` .05, allowed, and a
    stake of ``(a - .05) / (.05 * .95)``, that is the likelihood of a text that differs (1) or does
    not (0) if a share ``a`` differs, over that if a share .05 does.

    Attributes:
        centre: Mean that is no change.
        stakes: Of the bets, each with an equal weight.
        threshold: Sum at which the alarm sounds: texts between two false alarms, on average.
        sums: Of each bet; nothing so far when empty.
        seen: Numbers seen since the last start.
    """

    centre: float
    stakes: tuple[float, ...]
    threshold: float
    sums: tuple[float, ...] = ()
    seen: int = 0

    @classmethod
    def of_more(cls, allowed: float, threshold: float = 5000.0) -> Self:
        """Of a share, or a mean distance from 0 to 1, that rises above what is allowed."""
        _check(allowed, threshold)
        alternatives = [allowed + (1 - allowed) * part for part in WORSE]
        spread = allowed * (1 - allowed)
        return cls(allowed, tuple((a - allowed) / spread for a in alternatives), threshold)

    @classmethod
    def of_less(cls, allowed: float, threshold: float = 500.0) -> Self:
        """Of a share that is back under what is allowed."""
        _check(allowed, threshold)
        return cls(allowed, tuple(-part / (1 - allowed) for part in FALL), threshold)

    @classmethod
    def of_cost(cls, allowed: float, threshold: float = 5000.0) -> Self:
        """Of right answers that exits cost, from -1 to 1 a text, whose labels arrive later."""
        _check(allowed, threshold)
        return cls(allowed, tuple(part / (1 + allowed) for part in GAP), threshold)

    def saw(self, number: float) -> Self:
        """After one more number."""
        weight = 1 / len(self.stakes)
        before = self.sums or (0.0,) * len(self.stakes)
        sums = tuple(
            (held + weight) * (1 + stake * (number - self.centre))
            for held, stake in zip(before, self.stakes, strict=True)
        )
        return replace(self, sums=sums, seen=self.seen + 1)

    @property
    def level(self) -> float:
        """The sum of all bets."""
        return sum(self.sums)

    @property
    def alarm(self) -> bool:
        """Whether there was a change."""
        return self.level >= self.threshold

    def anew(self) -> Self:
        """Without what was seen."""
        return replace(self, sums=(), seen=0)

    def to_json(self) -> dict[str, Any]:
        """What changes, as plain data."""
        return {"sums": list(self.sums), "seen": self.seen}

    def resumed(self, data: Mapping[str, Any]) -> Self:
        """With what ``to_json`` gave of a detector like this."""
        return replace(self, sums=tuple(map(float, data["sums"])), seen=int(data["seen"]))


def _check(allowed: float, threshold: float) -> None:
    if not 0 < allowed < 1:
        raise UserError(f"An audit holds to a share between 0 and 1, not to {allowed!r}.")
    if not threshold > 1:
        raise UserError(
            f"Texts between two false alarms must be more than 1, not {threshold!r}; 5000 is usual."
        )
