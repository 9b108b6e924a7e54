"""How unsure the exits before were."""

from __future__ import annotations

from torch import Tensor

from tokenexit.context.features.base import FEATURES, Earlier
from tokenexit.context.seen import Seen


@FEATURES.register("earlier_entropy")
class EarlierEntropy(Earlier):
    """Entropy of each remembered exit."""

    absent = 1.0

    def keep(self, seen: Seen) -> Tensor:
        """Entropy, ``[N]``."""
        return seen.entropy
