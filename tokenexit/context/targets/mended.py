"""What later exits would have put right."""

from __future__ import annotations

import torch
from torch import Tensor

from tokenexit.context.targets.base import TARGETS, Target


@TARGETS.register("mended")
class Mended(Target):
    """An exit is wrong where it errs and at least half of the exits after it do not.

    Where full depth is not the best of the exits, as after a short training, agreeing with the top
    is the wrong thing to learn, and so is staying for what no later exit knows either. A row
    without a label is taken to be what the top says.
    """

    needs_gold = True

    def wrong(self, said: Tensor, gold: Tensor) -> Tensor:
        """See ``Target``."""
        right = said == gold.where(gold >= 0, said[-1])
        later = right.flip(0).cumsum(dim=0).flip(0)[1:]
        exits = torch.arange(len(later), 0, -1, device=said.device)[:, None]
        return ~right[:-1] & (2 * later >= exits)
