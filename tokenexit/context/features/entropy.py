"""How unsure an exit is."""

from __future__ import annotations

from torch import Tensor

from tokenexit.context.features.base import FEATURES, Plain
from tokenexit.context.seen import Seen


@FEATURES.register("entropy")
class Entropy(Plain):
    """Normalised entropy: 0 when certain, 1 when uniform."""

    def numbers(self, seen: Seen) -> Tensor:
        """See ``Plain``."""
        return seen.entropy[:, None]
