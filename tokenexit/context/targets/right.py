"""What gold labels say."""

from __future__ import annotations

from torch import Tensor

from tokenexit.context.targets.base import TARGETS, Target


@TARGETS.register("right")
class Right(Target):
    """An exit is wrong where it errs and the top does not; without a label, where they differ."""

    needs_gold = True

    def wrong(self, said: Tensor, gold: Tensor) -> Tensor:
        """See ``Target``."""
        truth = gold.where(gold >= 0, said[-1])
        return (said[:-1] != truth) & (said[-1] == truth)
