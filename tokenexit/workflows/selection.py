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
from pathlib import Path
from typing import Any, Generic, TypeVar

from tokenexit.calibration import CalibrateConfig
from tokenexit.calibration.dealing import documents_of, halves
from tokenexit.calibration.sampling import sample
from tokenexit.data.pairs import PairSplit
from tokenexit.data.split import Split
from tokenexit.data.tagged import TaggedSplit
from tokenexit.training import TrainConfig
from tokenexit.workflows.used_texts import TEXTS, are_of, is_of, record_of

EPOCH, STOPPING, FITTING = "choosing the epoch", "stopping the training", "fitting the heads"
FITTING_GATE = "fitting the gate"
TRAINING, VALIDATION = "training", "validation"
POLICY, REDUCER, LISTED = "choosing the policy", "choosing the reducer", "listing the settings"
RECORD, COUNT, LOOKS = "validation_used_for", "validation_chosen_on", "validation_looks"
"""Where a model says what its run's validation split served for, how much of it, and how many
models it chose among."""

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
    """

    choosing: S
    calibrating: S
    design: S | None
    used_for: list[str]
    served_for: list[str]
    chosen_on: int
    looks: int = 1
    train: S | None = None

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
        return [] if known and _one_only(self.used_for, self.looks) else self.used_for

    @property
    def shared_by(self) -> int:
        """Models that share what may go wrong: those among which the texts that test chose."""
        return self.looks if {*self.used_for} <= {EPOCH, STOPPING} and self.used_for else 1


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


def used_before(
    training: Mapping[str, Any] | None,
    model: str,
    data: str,
    split: str,
    texts: Split | None = None,
) -> list[str]:
    """What a split of a data set served for in the run that made a model, as far as is known.

    Texts are found again by what they say; models of older versions know paths alone.

    Args:
        training: What the model says of its training.
        model: Its folder.
        data: The data set, as it is named now.
        split: Name of the split.
        texts: Its texts.
    """
    if not training:
        return []
    known, here = _texts(training), _same(training.get("data"), model, data)
    if (here and split == "train") or (texts is not None and is_of(known.get(TRAINING), texts)):
        return [TRAINING]
    chose = here and split == VALIDATION
    if texts is not None and VALIDATION in known:
        chose = are_of(known[VALIDATION], texts)
    used = _chose(training) if chose else []
    later = (FITTING_GATE, REDUCER) if texts is not None else ()
    return [*used, *(use for use in later if texts is not None and are_of(known.get(use), texts))]


def not_known(training: Mapping[str, Any] | None, model: str, data: str) -> list[str]:
    """What texts may have served for in the run that made a model, where nobody can tell.

    Args:
        training: What the model says of its training.
        model: Its folder.
        data: The data set, as it is named now.
    """
    if not training or "data" not in training:
        return [TRAINING]
    if VALIDATION in _texts(training) or _same(training.get("data"), model, data):
        return []
    return [TRAINING, *_chose(training)]


def chosen_before(
    calibration: Mapping[str, Any] | None, texts: Split
) -> tuple[list[str], list[str]]:
    """What texts served for when the policy of a model was chosen.

    Args:
        calibration: What the model says of it.
        texts: The texts.

    Returns:
        What is known, and what nobody can tell.
    """
    if not calibration or "policy" not in calibration:  # nobody chose, or a certificate alone
        return [], []
    known = _texts(calibration)
    if POLICY not in known:
        return [], [POLICY]
    return [use for use in (POLICY, LISTED) if are_of(known.get(use), texts)], []


def noted(
    told: Mapping[str, Any] | None, uses: Mapping[str, Sequence[Split | None]]
) -> dict[str, Any]:
    """What a model says of its training or calibration, with which texts served for something.

    Args:
        told: What it says so far.
        uses: The texts by what they served for; without any, what was said of it is forgotten.
    """
    found = {use: one for use, one in _texts(told or {}).items() if use not in uses}
    for use, splits in uses.items():
        texts = [split for split in splits if split is not None]
        if texts:
            found[use] = record_of(*texts)
    return {**(told or {}), TEXTS: found}


def _texts(told: Mapping[str, Any]) -> Mapping[str, Any]:
    found = told.get(TEXTS)
    return found if isinstance(found, Mapping) else {}


def _chose(training: Mapping[str, Any]) -> list[str]:
    """What the validation split of a run chose."""
    used = list(training.get(RECORD, [EPOCH]))
    known = training.get(COUNT) and LOOKS in training
    return [] if known and _one_only(used, int(training[LOOKS])) else used


def looks_before(training: Mapping[str, Any] | None, used: Sequence[str]) -> int:
    """How many models the run chose among by what is ``used_before``; 1 where that is not known.

    Args:
        training: What the model says of its training.
        used: What the split served for.
    """
    if not training or not used or not {*used} <= {EPOCH, STOPPING}:
        return 1
    return int(training.get(LOOKS, 1))


def _one_only(used: Sequence[str], looks: int) -> bool:
    """Whether texts that served for this had one model to choose among, and chose nothing."""
    return looks == 1 and {*used} <= {EPOCH, STOPPING}


def _same(known: Any, model: str, data: str) -> bool:
    """Whether a data set is that of a run; generated data lie in the run's folder."""
    if not isinstance(known, str):
        return False
    source = Path(model) / "data" if known == "generated" else Path(known)
    return known == data or source.resolve() == Path(data).resolve()
