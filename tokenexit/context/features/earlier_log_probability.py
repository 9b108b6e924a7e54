"""The log-probability that earlier exits gave to the class named now."""

from __future__ import annotations

from torch import Tensor

from tokenexit.context.features.base import FEATURES, Earlier
from tokenexit.context.features.log_probabilities import FLOOR
from tokenexit.context.seen import Seen


@FEATURES.register("earlier_log_probability")
class EarlierLogProbability(Earlier):
    """Log-probability, at each remembered exit, of the class named now; at least ``FLOOR``."""

    absent = FLOOR
    of_classes = True  # what is remembered is as wide

    def keep(self, seen: Seen) -> Tensor:
        """Log-probabilities of all classes, ``[N, C]``."""
        return seen.log_probs.clamp_min(FLOOR)

    def compare(self, seen: Seen, before: Tensor) -> Tensor:
        """See ``Earlier``."""
        named = seen.named.clamp_min(0)[:, None, None].expand(-1, before.shape[1], 1)
        return before.gather(2, named)[..., 0]
