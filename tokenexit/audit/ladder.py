"""A ladder of settings: one step down at an alarm, one step up when all is calm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from tokenexit.audit.detector import Detector
from tokenexit.policies import Policy
from tokenexit.policies.never import Never


@dataclass(frozen=True)
class Ladder:
    """An immutable value; ``saw`` gives the next.

    Attributes:
        rungs: Full depth, then settings from strict to loose.
        rung: Which of them serves.
        worse: Watches what is served.
        better: Watches what the next looser rung would have served.
    """

    rungs: tuple[Policy, ...]
    rung: int
    worse: Detector
    better: Detector

    @classmethod
    def of(
        cls, settings: Sequence[Policy], allowed: float, per_false_alarm: float, back_after: float
    ) -> Self:
        """One that begins with its loosest setting."""
        return cls(
            (Never(), *settings),
            len(settings),
            Detector.of_more(allowed, per_false_alarm),
            Detector.of_less(allowed, back_after),
        )

    @property
    def policy(self) -> Policy:
        """The setting that serves."""
        return self.rungs[self.rung]

    @property
    def looser(self) -> Policy | None:
        """The setting above it; None at the top."""
        return self.rungs[self.rung + 1] if self.rung + 1 < len(self.rungs) else None

    def saw(self, differs: float, looser_differs: float) -> Self:
        """After one more audited text.

        Args:
            differs: Whether what was served differs from full depth, or how much, from 0 to 1.
            looser_differs: The same of the setting above; not looked at where there is none.
        """
        worse = self.worse.saw(differs)
        better = self.better if self.looser is None else self.better.saw(looser_differs)
        step = -1 if worse.alarm and self.rung else 1 if better.alarm else 0
        if not step:
            return replace(self, worse=worse, better=better)
        return replace(self, rung=self.rung + step, worse=worse.anew(), better=better.anew())

    def to_json(self) -> dict[str, Any]:
        """What changes, as plain data."""
        return {
            "rung": self.rung, "worse": self.worse.to_json(), "better": self.better.to_json(),
        }  # fmt: skip

    def resumed(self, data: Mapping[str, Any]) -> Self:
        """With what ``to_json`` gave of a ladder like this."""
        watched = {name: getattr(self, name).resumed(data[name]) for name in ("worse", "better")}
        return replace(self, rung=int(data["rung"]), **watched)
