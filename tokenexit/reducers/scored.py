"""Keep the rows that learned scorers find needed (TR-BERT, Transkimmer, AdapLeR)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor

from tokenexit.errors import UserError, unknown_name
from tokenexit.policies import State, ThresholdSpec
from tokenexit.policies.value import check_number
from tokenexit.reducers.base import REDUCERS, Fate, Place, Reducer
from tokenexit.reducers.rows import Rows

Rule = Literal["sigmoid", "share"]
RULES: tuple[Rule, ...] = ("sigmoid", "share")


@REDUCERS.register("scored")
@dataclass(frozen=True)
class Scored(Reducer):
    """Before layers that have a scorer, rows whose score is below a threshold are taken out.

    The scores are logits: of ``sigmoid`` each row's own probability is compared, as in TR-BERT (Ye
    et al. 2021) and Transkimmer (Guan et al. 2022), where it is 0.5. ``share`` is AdapLeR's rule
    (Modarressi et al. 2022): the softmax over the rows of a text that are left, against
    ``threshold`` times the layer's learned bar over their number.

    Args:
        threshold: Rows below it go; a factor of the learned bars where a layer has them.
        rule: ``sigmoid`` or ``share``.
        fate: What becomes of the rows.
        place: ``before`` a layer.

    Raises:
        UserError: A setting is unknown or out of range.
    """

    threshold: float = 0.5
    rule: Rule = "sigmoid"
    fate: Fate = "drop"
    place: Place = "before"
    own_threshold = ThresholdSpec("threshold", strict=0.0, loose=1.0)
    reads = "scores"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rule not in RULES:
            raise unknown_name("rule of Scored", self.rule, RULES)
        if self.place != "before":
            raise UserError('Scored judges states that enter a layer: its place is "before".')
        check_number(self, "threshold", 0.0, 1.0 if self.rule == "sigmoid" else 1000.0)

    def keep(self, rows: Rows, state: State) -> tuple[Tensor, State]:
        """Those with a score as high as the threshold, or higher."""
        score = rows.scores()
        if self.rule == "sigmoid":
            return score.sigmoid() >= self.threshold, state
        bar = 1.0 if rows.bar is None else rows.bar
        return shares(score, rows.text) * count(rows.text) >= self.threshold * bar, state

    def log_odds(self, rows: Rows) -> Tensor:
        """Of a probability, from the threshold on; shares, which vie with each other, have none."""
        if self.rule != "sigmoid":
            return super().log_odds(rows)
        threshold = torch.tensor(float(self.threshold)).logit(eps=1e-6)
        return rows.scores() - threshold.to(rows.hidden.device)

    def asked(self, layer: int, num_layers: int, longest: int) -> bool:
        """Nobody is asked at a threshold of 0, which keeps all."""
        return self.threshold > 0

    def threshold_spec(self) -> ThresholdSpec:
        """Of shares, the loose end is above what rows of equal share have."""
        return ThresholdSpec("threshold", strict=0.0, loose=1.0 if self.rule == "sigmoid" else 4.0)

    @classmethod
    def examples(cls) -> list[Self]:
        """A probability, and a share."""
        return [cls(), cls(0.9, "share", fate="restore")]


def count(text: Tensor) -> Tensor:
    """How many rows the text of each row has, ``[R] -> [R]``."""
    return text.bincount()[text]


def shares(score: Tensor, text: Tensor) -> Tensor:
    """Softmax over the rows of each text, ``[R]``.

    Args:
        score: Of each row, ``[R]``.
        text: Number of each row's text, ``[R]``.
    """
    number = int(text.max()) + 1 if len(text) else 0
    most = score.detach().new_full((number,), -torch.inf)
    most = most.scatter_reduce(0, text, score.detach(), "amax")
    power = (score - most[text]).exp()
    return power / power.new_zeros(number).index_add(0, text, power)[text]
