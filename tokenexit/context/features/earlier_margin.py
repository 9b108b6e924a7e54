"""How far ahead the named class was at exits before."""

from __future__ import annotations

from torch import Tensor

from tokenexit.context.features.base import FEATURES, Earlier
from tokenexit.context.seen import Seen


@FEATURES.register("earlier_margin")
class EarlierMargin(Earlier):
    """Margin of each remembered exit."""

    absent = 0.0

    def keep(self, seen: Seen) -> Tensor:
        """Margin, ``[N]``."""
        return seen.margin
