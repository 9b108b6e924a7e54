"""Agreement with the top from here on."""

from __future__ import annotations

from torch import Tensor

from tokenexit.context.targets.base import TARGETS, Target, unstable


@TARGETS.register("agreement")
class Agreement(Target):
    """An exit is wrong where it, or one after it, names another class than the top.

    No labels are needed, and a lucky guess that later exits take back does not count.
    """

    def wrong(self, said: Tensor, gold: Tensor) -> Tensor:
        """See ``Target``."""
        return unstable(said)
