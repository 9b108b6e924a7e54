"""Whether exits before named the same class."""

from __future__ import annotations

from torch import Tensor

from tokenexit.context.features.base import FEATURES, Earlier
from tokenexit.context.seen import Seen


@FEATURES.register("agreement")
class Agreement(Earlier):
    """1 for each remembered exit that named the class named now; nobody agrees with a NaN."""

    absent = -1

    def keep(self, seen: Seen) -> Tensor:
        """The class named, ``[N]``."""
        return seen.named

    def compare(self, seen: Seen, before: Tensor) -> Tensor:
        """See ``Earlier``."""
        return (before == seen.named[:, None]) & (before >= 0)
