"""Halt when one of several policies would."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from torch import Tensor

from tokenexit.policies.base import POLICIES
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.group import Together
from tokenexit.policies.patience import Patience


@POLICIES.register("any_of")
@dataclass(frozen=True)
class AnyOf(Together):
    """A row halts when at least one policy would let it out at this exit.

    Args:
        policies: Who may let a row out; the first with a threshold is the one that calibration
            turns.
    """

    in_words = "any of: {policies}"

    def agreed(self, decisions: Tensor) -> Tensor:
        """See ``Together``."""
        return decisions.any(dim=0)

    @classmethod
    def examples(cls) -> list[Self]:
        """A confident or patient rule."""
        return [cls((Entropy(0.3), Patience(2)))]
