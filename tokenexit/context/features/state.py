"""The state itself."""

from __future__ import annotations

from torch import Tensor

from tokenexit.context.features.base import FEATURES, OfState
from tokenexit.context.seen import Seen


@FEATURES.register("state")
class State(OfState):
    """All numbers of the state: dearer than a projection, and far cheaper than a vocabulary."""

    as_wide_as = "width"

    def numbers(self, seen: Seen) -> Tensor:
        """See ``Plain``."""
        return seen.signals.hidden.float()
