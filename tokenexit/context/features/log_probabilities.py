"""The log-probability of every class, in which unlikely ones differ."""

from __future__ import annotations

from torch import Tensor

from tokenexit.context.features.base import FEATURES, Plain
from tokenexit.context.seen import Seen

FLOOR = -8.0


@FEATURES.register("log_probabilities")
class LogProbabilities(Plain):
    """Log-probability of each class, at least ``FLOOR``."""

    of_classes = True

    def numbers(self, seen: Seen) -> Tensor:
        """See ``Plain``."""
        return seen.log_probs.clamp_min(FLOOR)
