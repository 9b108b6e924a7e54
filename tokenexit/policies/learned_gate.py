"""Halt when a trained gate trusts the exit (BERxiT)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tokenexit.policies.base import POLICIES, ThresholdSpec
from tokenexit.policies.threshold import ThresholdPolicy
from tokenexit.policies.value import number
from tokenexit.signals import Signals


@POLICIES.register("learned_gate")
@dataclass(frozen=True)
class LearnedGate(ThresholdPolicy):
    """Halt when the gate's probability that this exit is wrong is below ``threshold``.

    BERxiT's learning to exit (Xin et al. 2021): with ``gate: true``, one linear map from the state
    to a number, shared by all exits. Gates that ``palbert`` and ``dact`` train say something
    else: ask those by ``q_exit`` and ``dact``. No logits are read, so a large vocabulary costs
    nothing here. Of a regression the gate tells how far off this exit is, through tanh: the same
    from 0 to 1.

    Args:
        threshold: 0 (never) to 1 (always).

    Raises:
        UserError: ``threshold`` is NaN or outside 0..1; when asked, the model has no gate.
    """

    in_words = "the learned gate expects an error with less than {threshold}"

    threshold: float = number(0.1, 0.0, 1.0)
    units = ("word", "token", "text", "number")
    own_threshold = ThresholdSpec("threshold", strict=1e-4, loose=0.9, log=True)
    kernel_score = "gate"
    reads_logits = False

    def score(self, signals: Signals) -> Tensor:
        """Probability of being wrong, ``[N]``."""
        return signals.gate.float()
