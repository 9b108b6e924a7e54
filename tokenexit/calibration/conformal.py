"""CAT's threshold: loose enough that few answers are given before they are those of full depth."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tokenexit.calibration.risk import conformal_bound
from tokenexit.models.encoders.exit_table import ExitTable
from tokenexit.policies.base import Policy, State
from tokenexit.policies.threshold import ThresholdPolicy
from tokenexit.signals import Signals

HAIR = 1e-5
"""Share by which a threshold is stricter than the score it lies on, against rounding."""


def conformal_quantile(worst: NDArray[np.float64], risk: float) -> float | None:
    """The smallest threshold that a new point exceeds with probability ``risk`` at most.

    With ``n`` points it is the ``ceil((n + 1) (1 - risk))``-th smallest of their scores; the
    added one stands for the new point (Vovk et al. 2005).

    Args:
        worst: One score a calibration point, ``[n]``; minus infinity is one.
        risk: Above 0 and below 1.

    Returns:
        The threshold, or None where there are too few points for any.
    """
    count = len(worst)
    over = int((count + 1) * risk)
    while over >= 0 and conformal_bound(over, count) > risk:
        over -= 1
    return None if over < 0 else float(np.sort(worst)[count - 1 - over])


def worst_scores(table: ExitTable, policy: ThresholdPolicy, texts: int) -> NDArray[np.float64]:
    """How sure each text was, at most, at an exit that disagreed with the top, ``[texts]``.

    Consistent Accelerated Inference via Confident Adaptive Transformers (Schuster et al. 2021).
    Higher is surer whatever the policy; minus infinity where no exit disagreed. A text of several
    words is as sure as its least sure word, and leaves as a whole: for words that leave alone,
    the table is no more than an approximation.

    Args:
        table: What every exit says at full depth.
        policy: Whose score counts; its threshold does not.
        texts: Number of texts.
    """
    recorder = _Recorder(policy)
    table.simulate(recorder)
    window, top = table.window.numpy(), table.said(table.logits[-1])
    worst = np.full(texts, -np.inf)
    windows = int(window.max(initial=-1)) + 1
    for number, score in enumerate(recorder.scores):
        sure = score.double().cpu().numpy() * (-1.0 if policy.sure_is_low else 1.0)
        least = np.full(windows, np.inf)
        # A score that is no number is below every threshold.
        np.minimum.at(least, window, np.where(np.isnan(sure), -np.inf, sure))
        said = table.said(table.logits[number])
        wrong = (said != top) & table.mine
        np.maximum.at(worst, table.text[wrong], least[window[wrong]])
    return worst


def disagreeing(worst: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores of those texts alone at which some exit disagrees, as CAT's released code takes them.

    The promise is then about such texts, of which at most the share may differ: stricter for all.
    The quantile stays the theorem's; theirs is rounded up to the next score.
    """
    return worst[worst > -np.inf]


def conformal_setting(
    worst: NDArray[np.float64], policy: ThresholdPolicy, risk: float
) -> float | None:
    """Threshold of ``policy`` at which at most ``risk`` of new texts differ from full depth.

    The promise is on average over calibrations. It is a little stricter than it need be: a text
    counts as lost once any exit that disagrees is sure enough, even where an earlier one answers.

    Args:
        worst: From ``worst_scores``, of this policy.
        policy: One score and one threshold, the same at all exits.
        risk: Above 0 and below 1.

    Returns:
        The setting, or None where there are too few texts for any.
    """
    found = conformal_quantile(worst, risk)
    spec = policy.threshold_spec()
    assert spec is not None
    if found is None or found == -np.inf:
        return None if found is None else spec.loose
    above = worst[worst > found]
    gap = float(above.min()) - found if len(above) else np.inf
    strict = found + min(HAIR * abs(found), gap / 2)
    if policy.sure_is_low:
        return min(-strict, spec.loose)
    return max(min(strict, max(found, spec.strict)), spec.loose)


@dataclass(frozen=True)
class _Recorder(Policy):
    """Halts nobody and keeps every exit's scores."""

    policy: ThresholdPolicy
    scores: list[Tensor] = field(default_factory=list)

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        self.scores.append(self.policy.score(signals))
        return signals.none(), state
