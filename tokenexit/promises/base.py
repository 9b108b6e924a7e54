"""A promise: something that the chosen policy has to keep."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from tokenexit.errors import UserError
from tokenexit.registry import Registry
from tokenexit.wording.naming import percent

PROMISES: Registry[Promise] = Registry("promise", "tokenexit.promises")


@dataclass(frozen=True)
class Seen:
    """What was measured on some texts; None for what is not known.

    Attributes:
        texts: How many.
        kept: Share of full-depth quality; None where full depth scores nothing.
        saved: Layers saved, as a factor.
        changed: Share of texts that differ anywhere from full depth.
        words: Share of a text's words that differ from full depth, mean over texts.
        ms: Milliseconds a text.
        figures: All metrics, as ``Result.figures``; empty in a simulation.
    """

    texts: int | None = None
    kept: float | None = None
    saved: float | None = None
    changed: float | None = None
    words: float | None = None
    ms: float | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Read a result, or what a calibration measured, as plain data."""
        figures = row.get("figures") or {}
        texts = number(row.get("n_sentences"))
        nothing = row.get("quality_full_depth") == 0 and not row.get("lower_is_better")
        changed, same = (number(figures.get(n)) for n in ("texts_changed", "agreement_exact"))
        return cls(
            texts=int(texts) if texts else None,
            kept=None if nothing else number(row.get("relative_quality")),
            saved=number(row.get("depth_speedup")),
            changed=1 - same if changed is None and same is not None else changed,
            words=number(figures.get("words_changed")),
            figures=figures,
        )


class Promise(ABC):
    """One number of a run that is held to what was asked.

    A value without state. It is registered under its key: in ``calibrate`` where it has a field
    of its own, else in ``calibrate.promises``; in ``target`` of ``calibration.json`` in both cases.
    """

    place: ClassVar[int] = 100
    """Where it stands among others; the first decides how settings are searched."""

    strict_first: ClassVar[bool] = True
    """Whether strict settings keep it and loose ones break it, not the reverse. Then what saves
    most is best of what keeps it; else the best quality is."""

    at_least: ClassVar[bool] = True
    """Whether more than was asked is well, not less."""

    @property
    def name(self) -> str:
        """Its key."""
        return PROMISES.name_of(type(self))

    def check(self, asked: float) -> None:
        """Refuse a number that cannot be promised.

        Raises:
            UserError: Says which can.
        """
        if number(asked) is None:
            raise UserError(f"calibrate.promises.{self.name} must be a number, not {asked!r}.")

    @abstractmethod
    def measured(self, seen: Seen) -> float | None:
        """The number that is compared; None where it is not known."""

    def keeps(self, asked: float, seen: Seen) -> bool | None:
        """Whether it was kept; None where nobody knows."""
        found = self.measured(seen)
        if found is None:
            return None
        return found >= asked if self.at_least else found <= asked

    @abstractmethod
    def aim(self, target: Mapping[str, Any], alone: bool) -> str:
        """What was asked, to follow "the policy was chosen to ...".

        Args:
            target: As ``calibration.json`` holds it.
            alone: Whether nothing else was said before.
        """

    @abstractmethod
    def told(self, value: float, asked: float, past: bool) -> str:
        """What was measured, a clause of its own: ``it keeps 99.3%``.

        Args:
            value: That.
            asked: What was asked.
            past: Whether it was measured before.
        """

    def verdict(self, target: Mapping[str, Any], seen: Seen, past: bool) -> str:
        """What was measured and whether it is as asked; nothing where it is not known."""
        asked, found = target[self.name], self.measured(seen)
        if found is None:
            return ""
        missed = "less than asked" if self.at_least else "more than asked"
        return (
            f"{self.told(found, asked, past)}, {'as asked' if self.keeps(asked, seen) else missed}"
        )

    def grounds(self, calibration: Mapping[str, Any]) -> list[str]:
        """Sentences on what it rests on, beside what was measured."""
        return []


def promises_of(target: Mapping[str, Any]) -> list[Promise]:
    """The promises that a target names, the one that decides first.

    Args:
        target: What was asked, by key; further keys, such as ``confidence``, are passed over.
    """
    named = [cls() for name, cls in PROMISES.items() if target.get(name) is not None]
    return sorted(named, key=lambda promise: promise.place)


def beside(value: float, asked: float) -> str:
    """A share with so many decimals that it is seen on which side of another it lies."""
    for digits in (1, 2, 3, 4, 6, 9):
        shown, target = round(100 * value, digits), round(100 * asked, 9)
        if (shown < target, shown > target) == (value < asked, value > asked):
            return percent(value, digits)
    return percent(value, 1)  # the same but for rounding


def number(value: Any) -> float | None:
    """What a file holds in the place of a number, if it is one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
