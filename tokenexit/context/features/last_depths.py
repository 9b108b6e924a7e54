"""How deep the last tokens of a text went."""

from __future__ import annotations

from torch import Tensor

from tokenexit.context.features.base import FEATURES, OfSteps
from tokenexit.context.seen import Seen


@FEATURES.register("last_depths")
class LastDepths(OfSteps):
    """Share of the layers that each of the last ``reach`` tokens took, the newest first."""

    def known(self, seen: Seen) -> Tensor | None:
        """See ``OfSteps``."""
        return seen.signals.last_depths
