"""A few numbers of the state."""

from __future__ import annotations

from torch import Tensor

from tokenexit.context.features.base import FEATURES, OfState
from tokenexit.context.seen import Seen


@FEATURES.register("projection")
class Projection(OfState):
    """The state by a matrix that is learned with the gate; no logits are read."""

    as_wide_as = "projection"

    def numbers(self, seen: Seen) -> Tensor:
        """See ``Plain``."""
        assert seen.projected is not None
        return seen.projected
