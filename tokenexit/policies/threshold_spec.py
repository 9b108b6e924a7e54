"""What calibration may set of a policy."""

from __future__ import annotations

import math
from dataclasses import dataclass

NEAREST = 1e-4
"""What is missing to one at the strictest setting searched below one itself."""


@dataclass(frozen=True)
class ThresholdSpec:
    """What calibration turns of a policy, whatever its field is called: from strict to loose.

    Attributes:
        field: Name of the policy's field.
        strict: The value at which (almost) nobody leaves early.
        loose: The value at which (almost) everybody leaves at once.
        integer: Whether only whole numbers make sense.
        log: Whether to search on a logarithmic scale.
        near_one: Whether to search on a logarithmic scale of what is missing to the strict end,
            1: a confident model parts 0.99 from 0.999 and hardly 0.5 from 0.6.
    """

    field: str
    strict: float
    loose: float
    integer: bool = False
    log: bool = False
    near_one: bool = False

    def value(self, place: float) -> float:
        """The setting at a place between strict, 0, and loose, 1."""
        if self.near_one and place <= 0:
            return self.strict
        low, high = self._scaled(self.strict), self._scaled(self.loose)
        at = low + place * (high - low)
        at = math.exp(at) if self.log or self.near_one else at
        return 1 - at if self.near_one else at

    def place(self, value: float) -> float:
        """Where a setting lies between strict, 0, and loose, 1."""
        low, high = self._scaled(self.strict), self._scaled(self.loose)
        return (self._scaled(value) - low) / (high - low)

    def _scaled(self, value: float) -> float:
        if self.near_one:
            return math.log(max(1 - value, NEAREST))
        return math.log(max(value, 1e-300)) if self.log else value
