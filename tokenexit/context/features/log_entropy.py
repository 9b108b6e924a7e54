"""How unsure an exit is, told apart where it is nearly sure."""

from __future__ import annotations

from torch import Tensor

from tokenexit.context.features.base import FEATURES, Plain
from tokenexit.context.seen import Seen


@FEATURES.register("log_entropy")
class LogEntropy(Plain):
    """Logarithm of the normalised entropy, and of 0.0001 more, so that certainty is a number."""

    def numbers(self, seen: Seen) -> Tensor:
        """See ``Plain``."""
        return (seen.entropy + 1e-4).log()[:, None]
