"""Find the setting that keeps the user's promise with the least compute.

One full-depth pass stores what every exit says of every validation word, and all settings of
all families are simulated on that table. Simulation ignores that states change once neighbours
halt, so the most promising families are then run by the real engine, and their setting is moved
until real runs have bracketed the point where the promise breaks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tokenexit.calibration.config import CalibrateConfig
from tokenexit.calibration.families import default_families
from tokenexit.calibration.guarantee import Certified, certify
from tokenexit.calibration.sampling import drawn, warn_of_few
from tokenexit.calibration.simulate import Outcome, simulate
from tokenexit.data.tagged import TaggedSplit
from tokenexit.errors import UserError
from tokenexit.evaluation.bootstrap import relative_quality_bound
from tokenexit.evaluation.evaluate import Result, check_answers, evaluate
from tokenexit.evaluation.gold import class_numbers
from tokenexit.evaluation.metrics import METRICS as USUAL
from tokenexit.evaluation.processes import is_main
from tokenexit.evaluation.quality import check_metric, kept
from tokenexit.models.labeller import Labeller
from tokenexit.policies import Policy
from tokenexit.policies.base import walk
from tokenexit.policies.never import Never

logger = logging.getLogger(__name__)

RUNS = 6
"""Real runs per family that is verified."""


@dataclass(frozen=True)
class Candidate:
    """One setting that was tried: simulated, or run by the real engine (``verified``)."""

    policy: dict[str, Any]
    quality_simulated: float | None = None
    depth_speedup_simulated: float | None = None
    quality: float | None = None
    relative_quality: float | None = None
    depth_speedup: float | None = None
    mac_ratio: float | None = None
    verified: bool = False


@dataclass(frozen=True)
class Calibration:
    """The choice, and everything it was made from.

    Attributes:
        target: ``{"min_quality": q}`` or ``{"speedup": s}``, and ``confidence`` if asked for; or
            ``risk``, with ``delta``, ``risk_of`` and ``min_quality`` as far as given.
        split: Where it was measured.
        policy: The choice, as plain data.
        reached: Whether a real run kept the promise.
        quality_full_depth: Quality without exits.
        chosen: Figures of the choice.
        candidates: Everything that was tried.
        promise: What holds for unseen texts, with the bound, the number of texts and the method;
            None unless ``risk`` was asked for.
        measured: What the choice rests on: ``n_sentences`` of ``texts_in_split``, of which
            ``texts_choosing`` chose among policies, and what was kept and saved on them.
        data_used_for: What the same texts had served for before, such as choosing the epoch.
    """

    target: dict[str, Any]
    split: str
    policy: dict[str, Any]
    reached: bool
    quality_full_depth: float
    chosen: dict[str, Any]
    candidates: list[Candidate]
    promise: dict[str, Any] | None = None
    measured: dict[str, Any] = field(default_factory=dict)
    data_used_for: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def calibrate(
    model: Labeller,
    split: TaggedSplit,
    config: CalibrateConfig,
    *,
    name: str = "validation",
    families: Sequence[Policy] | None = None,
    batch_size: int = 32,
    on_unknown: str = "error",
    design: TaggedSplit | None = None,
) -> Calibration:
    """Choose a policy for a model. The model is not changed.

    Args:
        model: The tagger.
        split: Labelled texts that the model was not trained on; ``risk`` alone needs no labels.
        config: The promise.
        name: Name of the split.
        families: Policies whose knobs are turned; ``default_families`` when None.
        batch_size: Texts a batch.
        on_unknown: ``error`` or ``keep`` labels outside the training set, as wrong.
        design: For ``risk``: further texts that choose the family, see ``certify``.

    Raises:
        UserError: A family has no knob or looks at gold labels, or the split has no word or
            labels that the model does not know.
    """
    task, metric = model.settings.task, model.settings.metric
    check_goals(config, task, metric)
    check_metric(metric, task)
    policies = list(families or default_families(model.labels, model.settings.task))
    for policy in policies:
        check_family(policy)
    if split.tags is not None or config.promise is None or config.min_quality is not None:
        check_answers(model, split, on_unknown)
    count = len(split) + (0 if design is None else len(design))
    split, design = drawn(split, design, config.limit)
    warn_of_few(config, len(split))
    if split.num_words == 0:
        raise UserError(f"{split.origin} holds no word; there is nothing to calibrate on.")
    if config.promise is not None:
        found = certify(
            model,
            split,
            policies,
            config.promise,
            min_quality=config.min_quality,
            settings=config.grid,
            name=name,
            batch_size=batch_size,
            design=design,
        )
        return promised(found, config, name, count)
    kind, goal = config.target
    table = model.exit_table(split.tokens, class_numbers(split, model.labels), batch_size)
    simulated = simulate(table, policies, config.grid, task, metric)
    options: dict[str, Any] = {"batch_size": batch_size, "on_unknown": None}
    full, full_trace = evaluate(model, split, name, Never(), **options)

    lower = full.lower_is_better

    def keeps(quality: float, speedup: float) -> bool:
        if kind == "speedup":
            return speedup >= goal
        return kept(quality, full.quality, lower) >= goal

    ranked = []
    for policy, outcomes in zip(policies, simulated, strict=True):
        # In the order in which the settings that keep the promise come first.
        ordered = outcomes if kind == "min_quality" else outcomes[::-1]
        good = [i for i, o in enumerate(ordered) if keeps(o.quality, o.depth_speedup)]
        place = good[-1] if good else 0
        quality = ordered[place].quality * (-1 if lower else 1)
        worth = ordered[place].depth_speedup if kind == "min_quality" else quality
        ranked.append((worth if good else float("-inf"), place, ordered, policy))
    ranked.sort(key=lambda entry: -entry[0])

    measured: list[Result] = []
    kept_results: list[Result] = []
    for _, place, ordered, policy in ranked[: config.verify]:

        def measure(value: float, policy: Policy = policy) -> bool:
            result, trace = evaluate(
                model,
                split,
                name,
                policy.at(value),
                full_depth=full.quality,
                full=full_trace,
                **options,
            )
            measured.append(result)
            quality = result.quality
            if config.confidence is not None:
                sure = config.confidence
                bound = relative_quality_bound(trace, full_trace, model.labels, task, sure)
                quality = bound * full.quality
            good = keeps(quality, result.depth_speedup)
            if good:
                kept_results.append(result)
            return good

        find_last(ordered, place, measure)
    if kind == "min_quality":
        worth = _depth_saved if model.uniform_depth else _work_saved
        best = max([full, *kept_results], key=worth)
    elif kept_results:
        best = max(kept_results, key=lambda r: -r.quality if lower else r.quality)
    else:
        best = fastest(measured, goal)
    return Calibration(
        measured=measured_of(best, count),
        target={kind: goal} | ({"confidence": config.confidence} if config.confidence else {}),
        split=name,
        policy=dict(best.policy),
        reached=kind == "min_quality" or bool(kept_results),
        quality_full_depth=full.quality,
        chosen=best.to_json(),
        candidates=[verified(r) for r in [full, *measured]] + _simulated(policies, simulated),
    )


def _depth_saved(result: Result) -> float:
    return result.depth_speedup


def _work_saved(result: Result) -> float:
    return -result.mac_ratio


def measured_of(best: Result, texts_in_split: int, texts_choosing: int = 0) -> dict[str, Any]:
    """What a choice rests on, as plain data."""
    return {
        "n_sentences": best.n_sentences,
        "texts_in_split": texts_in_split,
        "texts_choosing": texts_choosing,
        "relative_quality": best.relative_quality,
        "depth_speedup": best.depth_speedup,
        "metric": best.metric,
        "lower_is_better": best.lower_is_better,
    }


def promised(found: Certified, config: CalibrateConfig, name: str, count: int) -> Calibration:
    """A choice that rests on a promise about unseen texts, in the form of all others."""
    return Calibration(
        measured=measured_of(found.best, count, found.promise["family_chosen_on"]),
        target=config.goals,
        split=name,
        policy=dict(found.best.policy),
        reached=found.reached,
        quality_full_depth=found.best.quality_full_depth,
        chosen=found.best.to_json(),
        candidates=[verified(result) for result in found.runs],
        promise=found.promise,
    )


def find_last(outcomes: Sequence[Outcome], start: int, keeps: Callable[[float], bool]) -> None:
    """Real runs towards the last setting that keeps the promise: gallop, then bisect.

    Args:
        outcomes: Settings, those that keep the promise before those that break it.
        start: Where the simulation puts the last one.
        keeps: Runs one setting.
    """
    good, bad = -1, len(outcomes)
    place, stride = start, 1
    for _ in range(RUNS):
        if keeps(outcomes[place].value):
            good, following = place, place + stride
        else:
            bad, following = place, place - stride
        if bad - good <= 1:
            return
        stride *= 2
        place = following if good < following < bad else (good + bad) // 2


def check_family(policy: Policy) -> None:
    """Refuse a policy that cannot be calibrated.

    Raises:
        UserError: It has no knob, or looks at gold labels.
    """
    if policy.dial() is None:
        raise UserError(f"{policy!r} has no knob to calibrate; use it as it is.")
    if any(part.needs_target for part in walk(policy)):
        raise UserError(f"{policy!r} looks at gold labels; it serves analysis only.")


def check_goals(config: CalibrateConfig, task: str, metric: str | None = None) -> None:
    """Refuse promises that have no meaning for a task.

    Raises:
        UserError: ``risk`` or ``confidence`` for a regression, or ``confidence`` for a metric
            other than the task's usual one.
    """
    if config.confidence is not None and metric not in (None, USUAL.get(task)):
        raise UserError(
            f"calibrate.confidence resamples {USUAL.get(task)}, the usual metric of {task}, and "
            f"not {metric!r}; leave one of the two out."
        )
    if task == "regression" and (config.risk is not None or config.confidence is not None):
        raise UserError(
            "calibrate.risk and calibrate.confidence count answers that are wrong or differ, and "
            "those of a regression are near or far; use calibrate.min_quality or calibrate.speedup."
        )


def fastest(measured: Sequence[Result], goal: float) -> Result:
    """The result that saves most, with a warning that it is not what was asked for."""
    best = max(measured, key=lambda r: r.depth_speedup)
    if is_main():
        logger.warning(
            "No setting saves %gx of the layers; took the fastest, %.2fx.", goal, best.depth_speedup
        )
    return best


def verified(result: Result) -> Candidate:
    """A real run as a candidate."""
    return Candidate(
        policy=dict(result.policy),
        quality=result.quality,
        relative_quality=result.relative_quality,
        depth_speedup=result.depth_speedup,
        mac_ratio=result.mac_ratio,
        verified=True,
    )


def _simulated(policies: Sequence[Policy], found: Sequence[list[Outcome]]) -> list[Candidate]:
    return [
        Candidate(policy.at(o.value).to_config(), o.quality, o.depth_speedup)
        for policy, outcomes in zip(policies, found, strict=True)
        for o in outcomes
    ]
