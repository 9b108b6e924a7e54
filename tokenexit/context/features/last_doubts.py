"""How likely wrong the exits were at which the last tokens of a text left."""

from __future__ import annotations

from torch import Tensor

from tokenexit.context.features.base import FEATURES, OfSteps
from tokenexit.context.seen import Seen


@FEATURES.register("last_doubts")
class LastDoubts(OfSteps):
    """What the gate last said of each of the last ``reach`` tokens, the newest first."""

    def known(self, seen: Seen) -> Tensor | None:
        """See ``OfSteps``."""
        return seen.signals.last_doubts
