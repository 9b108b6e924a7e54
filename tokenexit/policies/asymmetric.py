"""Halt with less certainty on one of two classes than on the other (early-exiting monoBERT)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from torch import Tensor

from tokenexit.errors import UserError, unknown_name
from tokenexit.policies.base import POLICIES, Policy, State, ThresholdSpec
from tokenexit.policies.value import check_number, number
from tokenexit.signals import Signals


@POLICIES.register("asymmetric")
@dataclass(frozen=True)
class Asymmetric(Policy):
    """Halt when the positive class is likelier than ``threshold``, or the negative than its own.

    Early exiting BERT for document ranking (Xin et al. 2020): the many irrelevant documents may
    be given up on with less certainty than relevant ones are accepted, or the other way round.
    The paper has two free thresholds; here the second is tied to the first, so that one threshold
    moves
    both: a negative may leave with ``ratio`` times the doubt (1 minus the threshold) of a positive.

    Args:
        threshold: Of the positive class, 1 (never, nor the negative) to 0.
        ratio: More lets negatives out sooner; 1 treats both alike, 0 keeps every negative.
        positive: The positive (relevant) class, by name or number.

    Raises:
        UserError: A number is out of range, or ``positive`` is neither a name nor 0 or 1; when
            asked, there are not two classes or none of that name.
    """

    in_words = "{positive} above {threshold}, the other class with {ratio} times the doubt"

    threshold: float = number(0.9, 0.0, 1.0)
    ratio: float = number(2.0, 0.0, 1000.0)
    positive: int | str = 1
    own_threshold = ThresholdSpec("threshold", strict=1.0, loose=0.0, near_one=True)
    units = ("text",)
    num_classes = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.positive, str):
            check_number(self, "positive", 0, 1, integer=True)

    @classmethod
    def of(cls, positive: float, negative: float, label: int | str = 1) -> Self:
        """From two thresholds, as in the paper.

        Args:
            positive: Threshold of the positive class, below 1.
            negative: Threshold of the other.
            label: The positive class, by name or number.

        Raises:
            UserError: A threshold is out of range.
        """
        if not (0.0 <= positive < 1.0 and 0.0 <= negative <= 1.0):
            raise UserError(
                "Asymmetric.of takes a positive threshold from 0 to below 1 and a negative one "
                f"from 0 to 1, such as 0.95 and 0.8, not {positive!r} and {negative!r}."
            )
        return cls(positive, (1.0 - negative) / (1.0 - positive), label)

    @property
    def negative_threshold(self) -> float:
        """Threshold of the other class."""
        return max(1.0 - self.ratio * (1.0 - self.threshold), 0.0)

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Compare both probabilities, each with its threshold."""
        number = signals.logits.shape[-1]
        if number != 2:
            raise UserError(
                "Asymmetric tells a positive class from a negative one and needs two classes; this "
                f"model has {number}. PerClass (per_class) serves many classes, with a policy for "
                "each."
            )
        chance = signals.logits.float().softmax(dim=-1)
        positive = self._number_of(signals.classes)
        halt = (chance[:, positive] > self.threshold) | (
            chance[:, 1 - positive] > self.negative_threshold
        )
        return halt, state

    def _number_of(self, classes: tuple[str, ...]) -> int:
        """Number of the positive class."""
        if not isinstance(self.positive, str):
            return int(self.positive)
        if not classes:
            raise UserError(
                f"Asymmetric.positive is {self.positive!r}, and the classes of this model have no "
                "names: give the number of the class, 0 or 1."
            )
        if self.positive not in classes:
            raise unknown_name("class in Asymmetric.positive", self.positive, classes)
        return classes.index(self.positive)

    @classmethod
    def examples(cls) -> list[Self]:
        """Negatives leave sooner; positives do."""
        return [cls(0.9), cls(0.7, ratio=0.5, positive=0)]
