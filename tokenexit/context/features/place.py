"""Where a row stands."""

from __future__ import annotations

from torch import Tensor

from tokenexit.context.features.base import FEATURES, Plain
from tokenexit.context.seen import Seen


@FEATURES.register("place")
class Place(Plain):
    """Logarithm of a word's number in its window, or of the decoding step; the first is 1."""

    of_logits = False

    def numbers(self, seen: Seen) -> Tensor:
        """See ``Plain``."""
        signals = seen.signals
        place = signals.position if signals.step is None else signals.step
        return place.float().log1p()[:, None]
