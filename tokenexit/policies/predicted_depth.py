"""Halt at a depth that the first exit predicts (Depth-Adaptive Transformer)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from torch import Tensor

from tokenexit.policies.base import POLICIES, Policy, State, ThresholdSpec
from tokenexit.policies.value import number
from tokenexit.signals import Signals


@POLICIES.register("predicted_depth")
@dataclass(frozen=True)
class PredictedDepth(Policy):
    """Halt once the predicted probability of needing no more layers is above ``threshold``.

    The multinomial halting distribution of the Depth-Adaptive Transformer (Elbayad et al.
    2020): a linear map of the state at the first exit says how likely each layer is to be the
    first that suffices. The paper stops at the likeliest layer, which leaves no threshold; here it
    is the first layer that suffices with probability ``threshold``. The paper's geometric-like
    distribution, which asks again at every layer, is ``LearnedGate``. No logits are read.

    Args:
        threshold: 1 (never) to 0 (always at the first exit).

    Raises:
        UserError: ``threshold`` is NaN or outside 0..1; when asked, the model has no such head.
    """

    in_words = "the first exit expects no more layers with more than {threshold}"

    threshold: float = number(0.9, 0.0, 1.0)
    own_threshold = ThresholdSpec("threshold", strict=1.0, loose=0.0)
    units = ("token",)
    reads_logits = False

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Look up the layer in what the first exit predicted.

        The state is None or, once predicted, the probability that each layer suffices,
        ``[N, L]``.
        """
        enough = signals.depth.exp().cumsum(dim=-1).clamp_max(1.0) if state is None else state
        assert isinstance(enough, Tensor)
        return enough[:, signals.layer - 1] > self.threshold, enough

    @classmethod
    def examples(cls) -> list[Self]:
        """A usual and a loose setting."""
        return [cls(0.9), cls(0.4)]
