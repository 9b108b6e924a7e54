"""Confidence that is higher on easy texts than on hard ones (CascadeBERT)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tokenexit import scores
from tokenexit.errors import UserError
from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective
from tokenexit.objectives.weights import layer_weights
from tokenexit.signals import Signals


@OBJECTIVES.register("difficulty_aware")
@dataclass(frozen=True)
class DifficultyAware(Objective):
    """CascadeBERT's ranking of confidences (Li et al. 2021), beside the cross-entropy.

    Within a batch, every easy row should be surer than every hard one by ``margin``:
    ``max(0, margin - (c_easy - c_hard))`` over all such pairs. The paper calls a text hard when
    an ensemble of five seeds gets it wrong; here a row is hard as long as the exit at hand gets it
    wrong itself, which needs no earlier training. Pairs are those of one micro-batch, so how a step
    is cut has a say.

    Args:
        share: Weight of the ranking, 0 or more.
        margin: Difference of confidences that is asked for, above 0 and up to 1.
        weights: ``depth``, ``top``, ``uniform`` or the top's share over exits.

    Raises:
        UserError: A setting is out of range.
    """

    share: float = 0.5
    margin: float = 0.3
    weights: str | float = "uniform"

    def __post_init__(self) -> None:
        layer_weights(self.weights, (1,))
        if not self.share >= 0:
            raise UserError(f"difficulty_aware.share must be 0 or more, not {self.share!r}.")
        if not 0 < self.margin <= 1:
            raise UserError(
                f"difficulty_aware.margin must be above 0 and up to 1, not {self.margin!r}."
            )

    def start(self, info: BatchInfo) -> BatchLoss:
        """Every exit ranks the rows of the batch."""
        return _Ranked(self, layer_weights(self.weights, info.exit_layers))


class _Ranked(BatchLoss):
    def __init__(self, settings: DifficultyAware, weights: dict[int, float]) -> None:
        super().__init__()
        self._settings, self._weights = settings, weights

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        assert signals.target is not None
        weight, settings = self._weights[signals.layer], self._settings
        self.cross_entropy(signals, weight)
        known = signals.known
        logits, target = signals.logits[known], signals.target[known]
        sure = scores.log_probabilities(logits).max(dim=-1).values.exp()
        right = logits.argmax(dim=-1) == target
        if settings.share and len(sure):
            gaps = torch.relu(settings.margin - (sure[:, None] - sure[None, :]))
            pairs = right[:, None] & ~right[None, :]  # how many there are, no host need know
            mean = gaps.masked_fill(~pairs, 0.0).sum() / pairs.sum().clamp_min(1)
            # A mean over pairs, times the rows: as large as a loss that is summed over rows.
            self.add(settings.share * weight * mean * len(sure))
        return None
