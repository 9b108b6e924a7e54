"""Which validation texts choose the weights, and which are left to test a promise.

A test on texts that something was chosen on flatters the choice. So where a promise about texts
not yet seen is asked for, one half of the validation split chooses (the epoch, when to stop, what
heads are fitted to, the family of the policy) and the other half, seen by nobody before, tests.

Of ``min_quality``, which every run promises, all texts test: one of so many epochs was chosen on
them, and each could have been tested at its share of what may go wrong (a union bound). What heads
are fitted to is one of endlessly many, so that there the split is halved as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from tokenexit.calibration import CalibrateConfig
from tokenexit.calibration.dealing import documents_of, halves
from tokenexit.calibration.sampling import sample
from tokenexit.data.pairs import PairSplit
from tokenexit.data.tagged import TaggedSplit
from tokenexit.training import TrainConfig
from tokenexit.workflows.served_texts import (
    EARLIER,
    EPOCH,
    FITTING,
    STOPPING,
    TRAINING,
    VALIDATION,
    earlier_of,
    one_only,
    served_before,
)
from tokenexit.workflows.used_texts import record_of

LISTING = 1500
"""Training texts that fix which settings a guarantee tests, and in which order."""

S = TypeVar("S", TaggedSplit, PairSplit)


@dataclass(frozen=True)
class Selection(Generic[S]):
    """The validation split of a run, dealt out.

    Attributes:
        choosing: Chooses the weights.
        calibrating: Calibrates the policy, or tests the promise.
        design: Chooses among families of policies before the test; None where the calibration
            deals out its texts itself.
        used_for: What the texts of ``calibrating`` served for besides.
        served_for: What any text of the split served for.
        chosen_on: How many texts chose.
        looks: Models that they chose among.
        train: The training split, if it is known.
        earlier: What is known of the trainings that this one went on from.
        earlier_looks: Models among which the texts of ``calibrating`` had chosen there.
    """

    choosing: S
    calibrating: S
    design: S | None
    used_for: list[str]
    served_for: list[str]
    chosen_on: int
    looks: int = 1
    train: S | None = None
    earlier: Sequence[Mapping[str, Any]] = ()
    earlier_looks: int = 1

    def going_on(self, training: Mapping[str, Any] | None) -> Selection[S]:
        """The same where the weights to begin with are those of an earlier run.

        Args:
            training: What its model says of its training.
        """
        earlier = earlier_of(training)
        used, looks = served_before({EARLIER: earlier}, "", "", VALIDATION, self.calibrating)
        return replace(
            self,
            used_for=list(dict.fromkeys([*self.used_for, *used])),
            served_for=list(dict.fromkeys([*self.served_for, *used])),
            earlier=[*self.earlier, *earlier],
            earlier_looks=self.earlier_looks * looks,
        )

    def after(self, chosen_on: int, looks: int = 1) -> Selection[S]:
        """The same after training, which may have begun with other texts and been resumed.

        Args:
            chosen_on: Texts that chose, as training or a model's record says.
            looks: Models that they chose among.
        """
        held = replace(self, looks=self.looks * looks)
        if chosen_on == len(self.choosing):
            return held
        return replace(held, used_for=self.served_for, chosen_on=chosen_on)

    @property
    def halved(self) -> bool:
        """Whether some texts chose and others test."""
        return self.choosing is not self.calibrating

    @property
    def texts_used(self) -> dict[str, Any]:
        """Which texts served for the training and its choices, to be found again."""
        sure = self.chosen_on == len(self.choosing)
        chose = [self.choosing] if sure else [self.choosing, self.calibrating]
        known = {} if self.train is None else {TRAINING: record_of(self.train)}
        return {**known, VALIDATION: record_of(*chose)}

    @property
    def spent_on(self) -> list[str]:
        """``used_for``, where there was anything to choose among."""
        known = self.chosen_on == len(self.choosing)
        looks = self.looks * self.earlier_looks
        return [] if known and one_only(self.used_for, looks) else self.used_for

    @property
    def shared_by(self) -> int:
        """Models that share what may go wrong: those among which the texts that test chose."""
        chose = bool(self.used_for) and {*self.used_for} <= {EPOCH, STOPPING}
        return self.looks * self.earlier_looks if chose else 1


def selection(
    split: S, calibrate: CalibrateConfig, uses: Sequence[str], train: S | None = None
) -> Selection[S]:
    """Deal out a validation split.

    Args:
        split: All of it.
        calibrate: What will be asked of it.
        uses: What it serves for before, from ``uses_of``.
        train: Training texts, which may fix what a guarantee tests, so that all of the split tests.
    """
    uses, quality = list(uses), calibrate.promises_quality
    certified = calibrate.promise is not None or calibrate.guarantee is not None
    whole = FITTING not in uses if quality else not certified
    if whole or not uses or len(split) < 2:
        listed = train is not None and (quality or calibrate.guarantee is not None)
        design = sample(train, LISTING) if listed and train is not None else None
        return Selection(split, split, design, uses, uses, len(split), train=train)
    dealt = halves(len(split), 2, documents_of(split))
    first, second = (split.take(rows) for rows in dealt)
    return Selection(first, second, first, [], uses, len(first), train=train)


def uses_of(train: TrainConfig, heads: Any = None) -> list[str]:
    """What the validation split serves for until the policy is calibrated.

    Args:
        train: Settings.
        heads: The exit heads of an encoder.
    """
    phases = train.each()
    # Else there is one evaluation, and no choice.
    several = [one for one in phases if one.epochs > 1 or one.max_steps is not None]
    fitted = heads is not None and any(
        heads.at(layer).fitted_on == "validation" for layer in heads.layers
    )
    uses = {
        EPOCH: any(one.keep_best for one in several),
        STOPPING: any(one.patience is not None for one in phases),
        FITTING: fitted,
    }
    return [name for name, used in uses.items() if used]
