"""What a calibration was asked for and what was measured of it, in sentences.

The one place where a promise is put into words, for card, report and terminal. Nothing is said
that the figures do not say: how many texts were used of how many, what was kept on them, and
what was kept elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tokenexit.promises.base import Seen, number, promises_of
from tokenexit.promises.certificate import certificate_sentences
from tokenexit.wording.clock import chosen_ms, clock_sentences
from tokenexit.wording.naming import of_texts, whole

FEW = 300
"""Texts below which a quality that was kept says little of other texts."""

_DRAWS = ((50, "7 in 10"), (FEW, "4 in 10"))
"""How often a share of 99% kept on so many texts was less on fresh ones, in simulated taggers
calibrated by the default families (72 % of draws at 30 texts, 44 % at 200, 24 % at 1,000)."""

_SHARED = ("choosing the epoch", "stopping the training")
"""Uses for which a promise allows by itself, in ``workflows.selection``."""


def goal_text(target: Mapping[str, Any]) -> str:
    """What a calibration aimed at, to follow "the policy was chosen to ..."."""
    parts: list[str] = []
    for promise in promises_of(target):
        if told := promise.aim(target, alone=not parts):
            parts.append(told)
    return " and ".join(parts) or "meet " + json.dumps(dict(target))


def promise_sentences(
    calibration: Mapping[str, Any],
    results: Mapping[str, Mapping[str, Any]],
    few: bool = True,
) -> list[str]:
    """All that is to be said of a calibration, derived from what was measured.

    Args:
        calibration: As ``calibration.json`` holds it, with or without ``chosen``.
        results: Results of the finished model by split, as plain data; may be empty.
        few: Whether to say that texts are few; False where that was said.

    Returns:
        Sentences; none without a target or a certificate.
    """
    target = calibration.get("target") or {}
    if not target:
        return certificate_sentences(calibration)
    here, split = _measured(calibration), str(calibration.get("split", "validation"))
    found = [
        _choice(calibration, target, here, split),
        *(told for promise in promises_of(target) for told in promise.grounds(calibration)),
        *certificate_sentences(calibration),
        *clock_sentences(calibration),
    ]
    for name, row in results.items():
        seen = Seen.of(row)
        if name == split and seen.texts == here.texts and seen.kept == here.kept:
            continue  # said above
        told = _elsewhere(target, seen)
        if told:
            found.append(f"On the {name} split{_size(seen)} {told}.")
    return [*found, *cautions(calibration, few)]


def cautions(calibration: Mapping[str, Any], few: bool = True) -> list[str]:
    """What weakens the choice: few texts, or texts that something else was chosen on."""
    target, found = calibration.get("target") or {}, []
    used = [str(name) for name in calibration.get("data_used_for") or ()]
    tested = target.get("risk") or target.get("guarantee")
    promise = calibration.get("promise")
    if isinstance(promise, Mapping) and promise.get("looks"):
        used = [name for name in used if name not in _SHARED]
    if used:
        weaker = "so that the promise does not strictly hold" if tested else (
            "so that they flatter the choice a little"
        )  # fmt: skip
        found.append(f"The same texts had served for {_listed(used)} before, {weaker}.")
    if unknown := [str(name) for name in calibration.get("data_not_known") or ()]:
        found.append(f"Whether the same texts had served for {' or '.join(unknown)} is not known.")
    if is_target(target):
        texts = _measured(calibration).texts
        if texts is None or texts >= FEW:
            found.append("That is what was measured there, and no promise about other texts.")
        elif few:
            found.append(few_texts(texts))
        found += _could(calibration, texts)
    return found


def is_target(target: Mapping[str, Any]) -> bool:
    """Whether a share of quality was kept on the texts of the calibration, and not promised."""
    tested = target.get("risk") or target.get("guarantee")
    return target.get("min_quality") is not None and not tested


def _could(calibration: Mapping[str, Any], texts: int | None) -> list[str]:
    """What of the choice could be promised, beside the target that it met."""
    could = (calibration.get("measured") or {}).get("could_be_promised")
    if not isinstance(could, Mapping) or texts is None:
        return []
    delta = number(could.get("delta"))
    if delta is None:
        return []
    share, sure = number(could.get("at_least")), f"with {100 * (1 - delta):.4g}%"
    what = "no share" if share is None else f"{could.get('loss')} >= {share:.4g}"
    units = could.get("documents")
    tested = of_texts(texts) if units is None else of_texts(int(units), "documents")
    return [f"Of this setting, fixed beforehand, {what} could be promised {sure} from {tested}."]


def few_texts(texts: int) -> str:
    """That so few texts say little of others."""
    often = next(share for most, share in _DRAWS if texts <= most)
    told = f"{texts} texts are few, and no promise about others"
    if texts == 1:
        told = "1 text is few, and no promise about others"
    return (
        f"{told}: in simulations about {often} choices that kept 99% of the quality on so few kept "
        "less on other texts. Calibrate on more."
    )


def _choice(
    calibration: Mapping[str, Any], target: Mapping[str, Any], here: Seen, split: str
) -> str:
    """Where the choice was made, and what came of it there."""
    aim = "for a target, to" if is_target(target) else "to"
    where = _where(calibration, here, split)
    made = f"The policy was chosen on {where} {aim} {goal_text(target)}"
    if (calibration.get("policy") or {}).get("name") == "never":
        return f"{made}; {_why_never(calibration)}, so the model stays at full depth."
    told = _elsewhere(target, here, past=True)
    if told:
        return f"{made}; there {told}."
    return made + ("." if calibration.get("reached", True) else "; no setting did.")


def _why_never(calibration: Mapping[str, Any]) -> str:
    """Why nobody leaves early."""
    timing = calibration.get("timing")
    if not isinstance(timing, Mapping):
        return "no setting that saves layers did"
    if not calibration.get("reached", True):
        return "nothing did"
    if timing.get("binding") == "nothing":
        return "full depth does"
    return "nothing that does is faster"


def _elsewhere(target: Mapping[str, Any], seen: Seen, past: bool = False) -> str:
    """What was measured of each part of the target, and whether that is as asked."""
    told = (promise.verdict(target, seen, past) for promise in promises_of(target))
    return "; ".join(filter(None, told))


def _where(calibration: Mapping[str, Any], here: Seen, split: str) -> str:
    """The texts that were used, and of how many."""
    measured = calibration.get("measured") or {}
    of, beside_them = (number(measured.get(name)) for name in ("texts_in_split", "texts_choosing"))
    if here.texts is None:
        return f"the {split} split"
    if of is None:
        return f"{of_texts(here.texts)} of the {split} split"
    if of <= here.texts:
        return f"{'' if here.texts == 1 else 'all '}{of_texts(here.texts)} of the {split} split"
    also = f" ({_others(int(beside_them))} chose among policies)" if beside_them else ""
    return f"{whole(here.texts)} of the {whole(int(of))} texts of the {split} split{also}"


def _measured(calibration: Mapping[str, Any]) -> Seen:
    """What the calibration measured of its choice; older files say it in ``chosen``."""
    measured = calibration.get("measured") or calibration.get("chosen") or {}
    lower = measured.get("lower_is_better")
    full = None if lower else calibration.get("quality_full_depth")
    seen = Seen.of({**measured, "quality_full_depth": full})
    return replace(seen, ms=chosen_ms(calibration))


def _size(seen: Seen) -> str:
    return "" if seen.texts is None else f" ({of_texts(seen.texts)})"


def _others(count: int) -> str:
    return "1 other" if count == 1 else f"{whole(count)} others"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
