"""How far ahead the named class is."""

from __future__ import annotations

from torch import Tensor

from tokenexit.context.features.base import FEATURES, Plain
from tokenexit.context.seen import Seen


@FEATURES.register("margin")
class Margin(Plain):
    """Probability of the best class minus that of the second."""

    def numbers(self, seen: Seen) -> Tensor:
        """See ``Plain``."""
        return seen.margin[:, None]
