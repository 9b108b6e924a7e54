"""Confidence that is higher on easy texts than on hard ones (CascadeBERT)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from tokenexit import scores
from tokenexit.errors import UserError, unknown_name
from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective, draw
from tokenexit.objectives.weights import layer_weights
from tokenexit.signals import Signals

_SALT = 3  # draws of one objective differ by salt


@OBJECTIVES.register("difficulty_aware")
@dataclass(frozen=True)
class DifficultyAware(Objective):
    """CascadeBERT's ranking of confidences (Li et al. 2021), beside the cross-entropy.

    Within a batch, every easy row should be surer than every hard one by ``margin``:
    ``max(0, margin - (c_easy - c_hard))``. The paper calls a text hard by the errors of five seeds.
    With ``hard="own"`` a row is hard as long as the exit at hand gets it wrong itself, which needs
    no earlier training; with ``before`` where the model got it wrong before the phase, which the
    preparation ``difficulty`` tells. ``pairs="drawn"``, as released, takes one random hard row for
    each easy one. Pairs are those of one micro-batch, so how a step is cut has a say.

    Args:
        share: Weight of the ranking, 0 or more.
        margin: Difference of confidences that is asked for, above 0 and up to 1.
        weights: ``depth``, ``top``, ``uniform`` or the top's share over exits.
        hard: ``own`` or ``before``.
        pairs: ``all`` or ``drawn``.

    Raises:
        UserError: A setting is out of range.
    """

    share: float = 0.5
    margin: float = 0.3
    weights: str | float = "uniform"
    hard: str = "own"
    pairs: str = "all"

    def __post_init__(self) -> None:
        layer_weights(self.weights, (1,))
        for name, allowed in (("hard", ("own", "before")), ("pairs", ("all", "drawn"))):
            if getattr(self, name) not in allowed:
                raise unknown_name(f"difficulty_aware.{name}", getattr(self, name), allowed)
        if not self.share >= 0:
            raise UserError(f"difficulty_aware.share must be 0 or more, not {self.share!r}.")
        if not 0 < self.margin <= 1:
            raise UserError(
                f"difficulty_aware.margin must be above 0 and up to 1, not {self.margin!r}."
            )

    def start(self, info: BatchInfo) -> BatchLoss:
        """Every exit ranks the rows of the batch."""
        return _Ranked(self, info)

    @property
    def reads_columns(self) -> Mapping[str, str]:  # type: ignore[override]
        """Earlier mistakes, if they say what is hard."""
        return {"mistaken": "word"} if self.hard == "before" else {}


def ranked(sure: Tensor, easy: Tensor, margin: float, lots: Tensor | None = None) -> Tensor:
    """The mean of ``max(0, margin - (c_easy - c_hard))`` over pairs, 0 without any.

    Args:
        sure: Confidence of each row, ``[N]``.
        easy: Which are, ``[N]`` bool; the others are hard.
        margin: Difference that is asked for.
        lots: One hard row for each easy one by these, from 0 to below 1, ``[N]``; all when None.
    """
    if lots is None:
        gaps = torch.relu(margin - (sure[:, None] - sure[None, :]))
        pairs = easy[:, None] & ~easy[None, :]  # how many there are, no host need know
    else:
        order = (~easy).cumsum(0)  # the numbers of the hard rows, from 1
        wanted = (lots * order[-1]).long() + 1
        partner = torch.searchsorted(order, wanted).clamp_max(len(sure) - 1)
        gaps = torch.relu(margin - (sure - sure[partner]))
        pairs = easy & (order[-1] > 0)
    return gaps.masked_fill(~pairs, 0.0).sum() / pairs.sum().clamp_min(1)


class _Ranked(BatchLoss):
    def __init__(self, settings: DifficultyAware, info: BatchInfo) -> None:
        super().__init__()
        self._settings, self._info = settings, info
        self._weights = layer_weights(settings.weights, info.exit_layers)

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        assert signals.target is not None
        weight, settings = self._weights[signals.layer], self._settings
        self.cross_entropy(signals, weight)
        known = signals.known
        logits, target = signals.logits[known], signals.target[known]
        sure = scores.log_probabilities(logits).max(dim=-1).values.exp()
        easy = logits.argmax(dim=-1) == target
        if settings.hard == "before":
            easy = self._info.columns["mistaken"][words[known]] < 0.5
        if settings.share and len(sure):
            lots = None
            if settings.pairs == "drawn":
                lots = draw(self._info, len(sure), _SALT).to(sure.device)
            mean = ranked(sure, easy, settings.margin, lots)
            # A mean over pairs, times the rows: as large as a loss that is summed over rows.
            self.add(settings.share * weight * mean * len(sure))
        return None
