"""Halt when the state has stopped changing (CALM)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.policies.base import POLICIES, ThresholdSpec
from tokenexit.policies.threshold import ThresholdPolicy
from tokenexit.policies.value import number
from tokenexit.signals import Signals


@POLICIES.register("saturation")
@dataclass(frozen=True)
class Saturation(ThresholdPolicy):
    """Halt when the cosine of this exit's state and the previous exit's is above ``threshold``.

    CALM's hidden-state saturation (Schuster et al. 2022), which compares successive layers;
    here it is successive exits, so that fewer of them need a higher threshold. No logits are
    read. By CALM's own table it often loses to stopping at a fixed layer; it is cheap enough
    to propose rows to a better judge, see ``TwoStage``.

    Args:
        threshold: 1 (never) to 0 (always at the second exit, unless the state turned by more
            than a right angle). The first exit has nothing to compare with.
    """

    in_words = "state as at the exit before, cosine above {threshold}"

    threshold: float = number(0.95, 0.0, 1.0)
    own_threshold = ThresholdSpec("threshold", strict=1.0, loose=0.0, near_one=True)
    kernel_score = "saturation"
    sure_is_low = False

    def score(self, signals: Signals) -> Tensor:
        """Cosine of the two states, ``[N]`` in -1..1; -1 at the first exit."""
        before = signals.previous_hidden
        if before is None:
            return signals.hidden.new_full((len(signals),), -1.0, dtype=torch.float32)
        cosine = F.cosine_similarity(signals.hidden.float(), before.float(), dim=-1)
        # Rounding may lift it above 1, and then not even a threshold of 1 would mean never.
        return cosine.clamp(-1.0, 1.0)

    @classmethod
    def examples(cls) -> list[Self]:
        """A usual and a loose setting; halfway to 0 is where states of small networks lie."""
        return [cls(0.95), cls(0.6)]
