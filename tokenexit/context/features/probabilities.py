"""The probability of every class."""

from __future__ import annotations

from torch import Tensor

from tokenexit.context.features.base import FEATURES, Plain
from tokenexit.context.seen import Seen


@FEATURES.register("probabilities")
class Probabilities(Plain):
    """Probability of each class."""

    of_classes = True

    def numbers(self, seen: Seen) -> Tensor:
        """See ``Plain``."""
        return seen.probs
