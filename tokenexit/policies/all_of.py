"""Halt when several policies agree."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tokenexit.policies.base import POLICIES
from tokenexit.policies.group import Together


@POLICIES.register("all_of")
@dataclass(frozen=True)
class AllOf(Together):
    """A row halts when every policy would let it out at this exit.

    Args:
        policies: Who has to agree; the first with a threshold is the one that calibration turns.
    """

    in_words = "all of: {policies}"

    def agreed(self, decisions: Tensor) -> Tensor:
        """See ``Together``."""
        return decisions.all(dim=0)
