"""What texts served for in the trainings that made a model, and when its policy was chosen.

Texts are found again by what they say, see ``used_texts``. A training may have gone on from the
weights of an earlier run, whose texts test nothing either: what is known of those trainings stands
beside that of the last one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tokenexit.data.split import Split
from tokenexit.workflows.used_texts import TEXTS, are_of, is_of, record_of

EPOCH, STOPPING, FITTING = "choosing the epoch", "stopping the training", "fitting the heads"
FITTING_GATE = "fitting the gate"
TRAINING, VALIDATION = "training", "validation"
POLICY, REDUCER, LISTED = "choosing the policy", "choosing the reducer", "listing the settings"
RECORD, COUNT, LOOKS = "validation_used_for", "validation_chosen_on", "validation_looks"
"""Where a model says what its run's validation split served for, how much of it, and how many
models it chose among."""

EARLIER = "earlier_trainings"
"""Where it says the same of the trainings that its own went on from, the latest first."""

SEEN = 3
"""Texts of a record's few that must come again before they count as trained on in an earlier run:
one or two short texts come again by themselves."""


class Served(NamedTuple):
    """What texts served for, and among how many models they chose where that is known, else 1."""

    used: list[str]
    looks: int


def earlier_of(training: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """What a training that goes on from another one keeps of it."""
    if not training:
        return []
    kept = {key: training[key] for key in (RECORD, COUNT, LOOKS, TEXTS) if key in training}
    return [*([kept] if TEXTS in kept else []), *training.get(EARLIER, ())]


def served_before(
    training: Mapping[str, Any] | None,
    model: str,
    data: str,
    split: str,
    texts: Split | None = None,
) -> Served:
    """What a split of a data set served for in the runs that made a model, as far as is known.

    Texts are found again by what they say; models of older versions know paths alone.

    Args:
        training: What the model says of its training.
        model: Its folder.
        data: The data set, as it is named now.
        split: Name of the split.
        texts: Its texts.
    """
    if not training:
        return Served([], 1)
    found = [(training, _used(training, model, data, split, texts))]
    if texts is not None:
        found += [(one, _used_earlier(one, texts)) for one in training.get(EARLIER, ())]
    looks = 1
    for one, used in found:
        looks *= int(one.get(LOOKS, 1)) if used and {*used} <= {EPOCH, STOPPING} else 1
    return Served(list(dict.fromkeys(use for _, used in found for use in used)), looks)


def _used(
    training: Mapping[str, Any], model: str, data: str, split: str, texts: Split | None
) -> list[str]:
    known, here = _texts(training), _same(training.get("data"), model, data)
    if (here and split == "train") or (texts is not None and is_of(known.get(TRAINING), texts)):
        return [TRAINING]
    chose = here and split == VALIDATION
    if texts is not None and VALIDATION in known:
        chose = are_of(known[VALIDATION], texts)
    return [*(_chose(training) if chose else []), *_later(known, texts)]


def _used_earlier(training: Mapping[str, Any], texts: Split) -> list[str]:
    known = _texts(training)
    if are_of(known.get(TRAINING), texts, least=SEEN):  # nobody has that split to count in
        return [TRAINING]
    chose = are_of(known.get(VALIDATION), texts)
    return [*(_chose(training) if chose else []), *_later(known, texts)]


def _later(known: Mapping[str, Any], texts: Split | None) -> Iterator[str]:
    if texts is not None:
        yield from (use for use in (FITTING_GATE, REDUCER) if are_of(known.get(use), texts))


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
    return [] if known and one_only(used, int(training[LOOKS])) else used


def one_only(used: Sequence[str], looks: int) -> bool:
    """Whether texts that served for this had one model to choose among, and chose nothing."""
    return looks == 1 and {*used} <= {EPOCH, STOPPING}


def _same(known: Any, model: str, data: str) -> bool:
    """Whether a data set is that of a run; generated data lie in the run's folder."""
    if not isinstance(known, str):
        return False
    source = Path(model) / "data" if known == "generated" else Path(known)
    return known == data or source.resolve() == Path(data).resolve()
