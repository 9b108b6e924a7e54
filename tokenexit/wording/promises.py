"""What a calibration was asked for and what was measured of it, in sentences.

The one place where a promise is put into words, for card, report and terminal. Nothing is said
that the figures do not say: how many texts were used of how many, what was kept on them, and
what was kept elsewhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from tokenexit.wording.clock import chosen_ms, clock_sentences
from tokenexit.wording.naming import milliseconds, percent, times, whole

FEW = 300
"""Texts below which a quality that was kept says little of other texts."""

_DRAWS = ((50, "7 in 10"), (FEW, "4 in 10"))
"""How often a share of 99% kept on so many texts was less on fresh ones, in simulated taggers
calibrated by the default families (72 % of draws at 30 texts, 44 % at 200, 24 % at 1,000)."""


@dataclass(frozen=True)
class Seen:
    """What was measured on some texts; None for what is not known.

    Attributes:
        texts: How many.
        kept: Share of full-depth quality; None where full depth scores nothing.
        saved: Layers saved, as a factor.
        changed: Share of texts that differ anywhere from full depth.
        words: Share of a text's words that differ from full depth, mean over texts.
        ms: Milliseconds a text.
    """

    texts: int | None = None
    kept: float | None = None
    saved: float | None = None
    changed: float | None = None
    words: float | None = None
    ms: float | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Read a result, or what a calibration measured, as plain data."""
        figures = row.get("figures") or {}
        texts = _number(row.get("n_sentences"))
        nothing = row.get("quality_full_depth") == 0 and not row.get("lower_is_better")
        changed, same = (_number(figures.get(n)) for n in ("texts_changed", "agreement_exact"))
        return cls(
            texts=int(texts) if texts else None,
            kept=None if nothing else _number(row.get("relative_quality")),
            saved=_number(row.get("depth_speedup")),
            changed=1 - same if changed is None and same is not None else changed,
            words=_number(figures.get("words_changed")),
        )


def goal_text(target: Mapping[str, Any]) -> str:
    """What a calibration aimed at, to follow "the policy was chosen to ..."."""
    parts = []
    if target.get("min_quality") is not None:
        parts.append(f"keep at least {100 * target['min_quality']:.4g}% of the full-depth quality")
    if target.get("confidence") is not None:
        parts[-1:] = [f"{''.join(parts)} in {percent(target['confidence'], 0)} of resamples"]
    if target.get("speedup") is not None:
        parts.append(f"save layers by a factor of {target['speedup']:.4g}")
    if target.get("latency") is not None:
        best = "" if parts else "keep the best quality that takes "
        parts.append(f"{best or 'take '}at most {target['latency']:.4g} ms a text")
    if target.get("risk") is not None:
        what = "of a text's words" if target.get("risk_of") == "words" else "of unseen texts"
        parts.append(f"let at most {100 * target['risk']:.4g}% {what} differ from full depth")
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
        Sentences; none without a target.
    """
    target = calibration.get("target") or {}
    if not target:
        return []
    here, split = _measured(calibration), str(calibration.get("split", "validation"))
    found = [
        _choice(calibration, target, here, split),
        *_grounds(calibration, target),
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
    if used:
        weaker = "so that the promise does not strictly hold" if target.get("risk") else (
            "so that they flatter the choice a little"
        )  # fmt: skip
        found.append(f"The same texts had served for {_listed(used)} before, {weaker}.")
    if target.get("min_quality") is not None and not target.get("risk"):
        texts = _measured(calibration).texts
        if texts is None or texts >= FEW:
            found.append("That is what was measured there, and no promise about other texts.")
        elif few:
            found.append(few_texts(texts))
    return found


def few_texts(texts: int) -> str:
    """That so few texts say little of others."""
    often = next(share for most, share in _DRAWS if texts <= most)
    return (
        f"{texts} texts are few, and no promise about others: in simulations about {often} choices "
        "that kept 99% of the quality on so few kept less on other texts. Calibrate on more."
    )


def _choice(
    calibration: Mapping[str, Any], target: Mapping[str, Any], here: Seen, split: str
) -> str:
    """Where the choice was made, and what came of it there."""
    made = f"The policy was chosen on {_where(calibration, here, split)} to {goal_text(target)}"
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


def _grounds(calibration: Mapping[str, Any], target: Mapping[str, Any]) -> list[str]:
    """What a promise about unseen texts says and rests on."""
    promise = calibration.get("promise")
    if target.get("risk") is None or not isinstance(promise, Mapping):
        return []
    never = (calibration.get("policy") or {}).get("name") == "never"
    if never and calibration.get("reached"):
        return ["Full depth keeps the promise."]
    if not calibration.get("reached"):
        return [f"Only full depth keeps the promise: {promise.get('promise')}."]
    bound = _number(promise.get("bound"))
    return [
        f"The promise, for texts drawn as those were: {promise.get('promise')}. It rests on "
        f"{promise.get('n')} texts, of which {promise.get('texts_changed')} differ (bound "
        f"{percent(bound, 2)}; {promise.get('method')})."
    ]


def _elsewhere(target: Mapping[str, Any], seen: Seen, past: bool = False) -> str:
    """What was measured of each part of the target, and whether that is as asked."""
    parts = []
    asked = target.get("min_quality")
    if asked is not None and seen.kept is not None:
        verdict = "as asked" if seen.kept >= asked else "less than asked"
        parts.append(f"it {'kept' if past else 'keeps'} {beside(seen.kept, asked)}, {verdict}")
    elif asked is not None and seen.texts:
        parts.append("full depth scores 0, so there was nothing to keep")
    asked = target.get("speedup")
    if asked is not None and seen.saved is not None:
        verdict = "as asked" if seen.saved >= asked else "less than asked"
        parts.append(f"it {'saved' if past else 'saves'} {times(seen.saved)}, {verdict}")
    asked = target.get("latency")
    if asked is not None and seen.ms is not None:
        verdict = "as asked" if seen.ms <= asked else "more than asked"
        parts.append(f"it took {milliseconds(seen.ms)} a text, {verdict}")
    asked = target.get("risk")
    by_words = target.get("risk_of") == "words"
    lost = seen.words if by_words else seen.changed
    if asked is not None and lost is not None and not past:
        verdict = "within" if lost <= asked else "more than"
        what = "of a text's words" if by_words else "of the texts"
        parts.append(
            f"{beside(lost, asked)} {what} differ from full depth, {verdict} the "
            f"{100 * asked:.4g}% promised"
        )
    return "; ".join(parts)


def beside(value: float, asked: float) -> str:
    """A share with so many decimals that it is seen on which side of another it lies."""
    for digits in (1, 2, 3, 4, 6, 9):
        shown, target = round(100 * value, digits), round(100 * asked, 9)
        if (shown < target, shown > target) == (value < asked, value > asked):
            return percent(value, digits)
    return percent(value, 1)  # the same but for rounding


def _where(calibration: Mapping[str, Any], here: Seen, split: str) -> str:
    """The texts that were used, and of how many."""
    measured = calibration.get("measured") or {}
    of, beside_them = (_number(measured.get(name)) for name in ("texts_in_split", "texts_choosing"))
    if here.texts is None:
        return f"the {split} split"
    if of is None:
        return f"{whole(here.texts)} texts of the {split} split"
    if of <= here.texts:
        return f"all {whole(here.texts)} texts of the {split} split"
    also = f" ({whole(int(beside_them))} others chose among policies)" if beside_them else ""
    return f"{whole(here.texts)} of the {whole(int(of))} texts of the {split} split{also}"


def _measured(calibration: Mapping[str, Any]) -> Seen:
    """What the calibration measured of its choice; older files say it in ``chosen``."""
    measured = calibration.get("measured") or calibration.get("chosen") or {}
    lower = measured.get("lower_is_better")
    full = None if lower else calibration.get("quality_full_depth")
    seen = Seen.of({**measured, "quality_full_depth": full})
    return replace(seen, ms=chosen_ms(calibration))


def _size(seen: Seen) -> str:
    return "" if seen.texts is None else f" ({whole(seen.texts)} texts)"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
