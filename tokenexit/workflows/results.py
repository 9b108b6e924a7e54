"""After training: choose the policy, measure, save, report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from tokenexit.calibration import calibrate
from tokenexit.calibration.clock.saved import COSTS
from tokenexit.calibration.found import Calibration
from tokenexit.config import dump_config
from tokenexit.data.tagged import TaggedSplit
from tokenexit.evaluation.curve import Point, save_curve, trace_curve
from tokenexit.evaluation.evaluate import evaluate
from tokenexit.evaluation.oracle_words import oracle_words
from tokenexit.files import write_json
from tokenexit.models.cascade import CascadeForSequenceClassification
from tokenexit.models.encoder_model import EncoderModel
from tokenexit.models.token_classification import ExitModelForTokenClassification
from tokenexit.policies import Policy, from_config
from tokenexit.reporting import write_report
from tokenexit.reporting.tables import results_text
from tokenexit.tasks import labelled_task
from tokenexit.tasks.scoring.gold import class_numbers
from tokenexit.wording.promises import promise_sentences
from tokenexit.workflows.config import ClassificationConfig, TaggingConfig
from tokenexit.workflows.reading import GENERATED, reading_of
from tokenexit.workflows.selection import COUNT, RECORD, Selection
from tokenexit.workflows.speaking import logger

CURVE_FACTORS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Settings of the curve, as multiples of the calibrated one."""


def finish(
    config: TaggingConfig | ClassificationConfig,
    model: EncoderModel | CascadeForSequenceClassification,
    splits: dict[str, TaggedSplit],
    run: Path,
    policy: Policy | None,
    accelerator: Accelerator,
    held: Selection[TaggedSplit],
) -> None:
    """Everything after training; each result is on disk as soon as it exists.

    Args:
        config: The run.
        model: The trained tagger; gets its policy, calibration and results.
        splits: The data.
        run: Run folder.
        policy: As the user gave it, or None.
        accelerator: Who writes and speaks.
        held: The validation split, dealt out.
    """
    main = accelerator.is_main_process
    say = logger.info if main else logger.debug
    model.configure(training=training_record(config, held))
    if main:
        model.save_pretrained(run)

    def search(families: list[Policy] | None) -> Calibration:
        found = calibrate(
            model,
            held.calibrating,
            config.calibrate,
            families=families,
            batch_size=config.batch_size,
            on_unknown="keep",
            design=held.design,
        )
        return replace(found, data_used_for=held.used_for)

    chosen = choose_policy(config, model, policy, run, main, search)
    model.configure(policy=chosen)
    if config.decode == "crf":
        assert isinstance(model, ExitModelForTokenClassification)
        model.fit_crf(splits["train"].tokens, class_numbers(splits["train"], model.labels))
        model.configure(decode="crf")

    results: dict[str, Any] = {}
    countable = labelled_task(config.task).countable
    for name in [n for n in ("validation", "test") if n in splits]:
        split = splits[name]
        oracle = oracle_words(model, split, config.batch_size) if countable else None
        options: dict[str, Any] = {"batch_size": config.batch_size, "on_unknown": "keep"}
        result, trace = evaluate(model, split, name, oracle=oracle or False, **options)
        results[name] = result.to_json()
        if main:
            beside = oracle.columns(trace) if oracle else None
            trace.save(run / "traces" / f"{name}.parquet", split.words, beside)
            say("%s", results_text(results[name]))
    last = list(results)[-1]
    model.configure(results=for_model(results))
    setting = chosen.setting() if chosen.dial() is not None else None
    values = curve_values(chosen, setting)
    points = trace_curve(
        model,
        splits[last],
        last,
        chosen,
        values,
        batch_size=config.batch_size,
        on_unknown=None,  # said above
    )
    if main:
        model.save_pretrained(run)
        save_curve(points, run / "pareto.csv")
        depth, processes = results[last]["num_layers"], accelerator.num_processes
        write_metrics(run, config, results, points, depth, processes, model.labels)
        for sentence in promise_sentences(model.settings.calibration or {}, results, few=False):
            say("%s", sentence)
        say("report: %s", write_report(run))


def for_model(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What a model keeps of its results: not which classes pay, which the run's report tells."""
    return {
        name: {key: value for key, value in result.items() if key != "oracle"}
        for name, result in results.items()
    }


def training_record(config: Any, held: Selection[Any]) -> dict[str, Any]:
    """What a model card and a run say of the training.

    Args:
        config: Of a recipe.
        held: Its validation split, dealt out.
    """
    return {
        "task": config.task,
        "model": config.model,
        "data": config.data or GENERATED,
        "seed": config.seed,
        "reading": reading_of(config),
        **dump_config(config)["train"],
        RECORD: list(held.served_for),
        COUNT: held.chosen_on,
    }


def write_metrics(
    run: Path,
    config: Any,
    results: Mapping[str, Any],
    points: Sequence[Point],
    num_layers: int,
    num_processes: int,
    labels: Sequence[str] = (),
) -> None:
    """Write ``metrics.json``."""
    static = [
        {"layer": int(p.value or 0), "quality": p.quality, "mac_ratio": p.mac_ratio}
        for p in points
        if p.kind == "static"
    ]
    record = {
        "task": config.task,
        "model": config.model if isinstance(config.model, str) else "fresh",
        "data": config.data or "generated",
        "seed": config.seed,
        "labels": list(labels),
        "num_layers": num_layers,
        "num_processes": num_processes,
        "splits": results,
        "static": static,
    }
    write_json(run / "metrics.json", record)


def choose_policy(
    config: Any,
    model: Any,
    policy: Policy | None,
    run: Path,
    main: bool,
    search: Callable[[list[Policy] | None], Calibration],
) -> Policy:
    """The policy as given, or calibrated and saved.

    Args:
        config: The run.
        model: The trained model; gets what the calibration found.
        policy: As the user gave it, or None.
        run: Run folder.
        main: Whether this process writes.
        search: Calibrates policies, or the usual families for None.
    """
    asked = config.calibrate.asked
    if main:
        for name in ("calibration.json", COSTS):
            (run / name).unlink(missing_ok=True)  # of an earlier policy
    if policy is not None and not (asked and policy.dial() is not None):
        return policy
    cascade = isinstance(model, CascadeForSequenceClassification)
    single = config.train.objective.get("name") == "single" and not cascade
    if len(model.settings.exit_layers) == 1 or single:
        return from_config("never")  # nothing to choose among
    families = [policy] if policy is not None else None
    if config.calibrate.policies:
        families = [from_config(family) for family in config.calibrate.policies]
    found = search(families)
    model.configure(calibration=found.for_model())
    if main:
        write_json(run / "calibration.json", found.to_json())
        if found.cost_model is not None:
            write_json(run / COSTS, found.cost_model)
    chosen = from_config(found.policy)
    if main:
        logger.info("calibrated policy: %s", chosen)
    return chosen


def curve_values(policy: Policy, setting: float | None) -> list[float]:
    """Settings of a policy's knob around the one that was chosen."""
    knob = policy.dial()
    if knob is None or setting is None:
        return []
    low, high = sorted((knob.strict, knob.loose))
    if knob.integer:
        around = {setting + d for d in (-2, -1, 0, 1, 2)}
    elif knob.log:
        around = {setting * f for f in CURVE_FACTORS}
    elif knob.near_one:
        around = {1 - (1 - setting) * f for f in CURVE_FACTORS}
    else:
        around = {setting + (high - low) * d for d in (-0.2, -0.1, -0.05, 0, 0.05, 0.1)}
    return sorted(v for v in around if low <= v <= high or v == setting)
