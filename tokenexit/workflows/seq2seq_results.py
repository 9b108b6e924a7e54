"""After training a generator: choose the policy, measure, save, report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from accelerate import Accelerator

from tokenexit.calibration.texts import calibrate_texts
from tokenexit.config import dump_config
from tokenexit.data.pairs import PairSplit
from tokenexit.evaluation.curve import measured_curve, save_curve
from tokenexit.evaluation.generation import evaluate_texts
from tokenexit.models.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.policies import Policy, from_config
from tokenexit.policies.never import Never
from tokenexit.reporting import write_report
from tokenexit.reporting.tables import results_text
from tokenexit.workflows.folder import write_json
from tokenexit.workflows.results import curve_values
from tokenexit.workflows.seq2seq_config import Seq2SeqConfig
from tokenexit.workflows.speaking import logger


def finish_texts(
    config: Seq2SeqConfig,
    model: ExitModelForSeq2SeqLM,
    splits: dict[str, PairSplit],
    run: Path,
    policy: Policy | None,
    accelerator: Accelerator,
) -> None:
    """Everything after training; each result is on disk as soon as it exists.

    Args:
        config: The run.
        model: The trained generator; gets its policy, calibration and results.
        splits: The data.
        run: Run folder.
        policy: As the user gave it, or None.
        accelerator: Who writes and speaks.
    """
    main = accelerator.is_main_process
    say = logger.info if main else logger.debug
    training = {
        "task": config.task,
        "model": config.model,
        "data": config.data or "generated",
        "seed": config.seed,
        **dump_config(config)["train"],
    }
    model.configure(training=training)
    if main:
        model.save_pretrained(run)
    chosen = _choose(config, model, splits["validation"], policy, run, main)
    say("policy: %s", chosen)
    model.configure(policy=chosen)

    results: dict[str, Any] = {}
    full = deep = None
    for name in [n for n in ("validation", "test") if n in splits]:
        full, deep = evaluate_texts(
            model, splits[name], name, Never(), batch_size=config.batch_size
        )
        result, trace = evaluate_texts(
            model, splits[name], name, full=deep, batch_size=config.batch_size
        )
        results[name] = result.to_json()
        if main:
            trace.save(run / "traces" / f"{name}.parquet", splits[name], deep)
            say("%s", results_text(results[name]))
    last = list(results)[-1]
    model.configure(results=results)
    assert full is not None
    points = measured_curve(
        lambda p: evaluate_texts(
            model, splits[last], last, p, full=deep, batch_size=config.batch_size
        )[0],
        full,
        model.settings.exit_layers,
        chosen,
        curve_values(chosen, chosen.setting() if chosen.dial() is not None else None),
    )
    if main:
        model.save_pretrained(run)
        save_curve(points, run / "pareto.csv")
        write_json(
            run / "metrics.json",
            {
                "task": config.task,
                "model": config.model if isinstance(config.model, str) else "fresh",
                "data": config.data or "generated",
                "seed": config.seed,
                "labels": [],
                "num_layers": model.decoder.num_layers,
                "num_processes": accelerator.num_processes,
                "splits": results,
                "static": [
                    {"layer": int(p.value or 0), "quality": p.quality, "mac_ratio": p.mac_ratio}
                    for p in points
                    if p.kind == "static"
                ],
            },
        )
        say("report: %s", write_report(run))


def _choose(
    config: Seq2SeqConfig,
    model: ExitModelForSeq2SeqLM,
    validation: PairSplit,
    policy: Policy | None,
    run: Path,
    main: bool,
) -> Policy:
    """The policy as given, or calibrated."""
    asked = config.calibrate.min_quality is not None or config.calibrate.speedup is not None
    if main:
        (run / "calibration.json").unlink(missing_ok=True)  # of an earlier policy
    if policy is not None and not (asked and policy.dial() is not None):
        return policy
    if len(model.settings.exit_layers) == 1 or config.train.objective.get("name") == "single":
        return Never()  # nothing to choose among
    families = [policy] if policy is not None else None
    if config.calibrate.policies:
        families = [from_config(family) for family in config.calibrate.policies]
    found = calibrate_texts(
        model, validation, config.calibrate, families=families, batch_size=config.batch_size
    )
    model.configure(
        calibration={k: v for k, v in found.to_json().items() if k not in ("candidates", "chosen")}
    )
    if main:
        write_json(run / "calibration.json", found.to_json())
    return from_config(found.policy)
