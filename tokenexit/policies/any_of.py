"""Halt when one of several policies would."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tokenexit.policies.base import POLICIES
from tokenexit.policies.group import Together


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
