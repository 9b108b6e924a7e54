"""After training: choose the policy, measure, save, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenexit.evaluation.curve import save_curve
from tokenexit.evaluation.setting_traces import SettingTraces
from tokenexit.policies import Policy
from tokenexit.promises.sentences import promise_sentences
from tokenexit.reporting import write_report
from tokenexit.reporting.tables import results_text
from tokenexit.workflows.choosing import choose_policy, curve_values
from tokenexit.workflows.logs import logger
from tokenexit.workflows.recipes import Recipe
from tokenexit.workflows.recipes.base import Measured
from tokenexit.workflows.record import for_model, training_record, write_metrics
from tokenexit.workflows.selection import Selection

if TYPE_CHECKING:
    from accelerate import Accelerator


def finish(
    recipe: Recipe,
    model: Any,
    splits: dict[str, Any],
    policy: Policy | None,
    accelerator: Accelerator,
    held: Selection[Any],
) -> None:
    """Everything after training; each result is on disk as soon as it exists.

    Args:
        recipe: The run.
        model: The trained model; gets its policy, calibration and results.
        splits: The data.
        policy: As the user gave it, or None.
        accelerator: Who writes and speaks.
        held: The validation split, dealt out.
    """
    config, run = recipe.config, Path(recipe.config.output_dir)
    main = accelerator.is_main_process
    say = logger.info if main else logger.debug
    model.configure(training=training_record(config, held))
    if main:
        model.save_pretrained(run)
    chosen = choose_policy(recipe, model, policy, main, held)
    model.configure(policy=chosen)
    recipe.decide(model, splits["train"])

    results: dict[str, Any] = {}
    last: Measured | None = None
    for name in [n for n in ("validation", "test") if n in splits]:
        last = recipe.measure(model, splits[name], name)
        results[name] = last.result.to_json()
        if main:
            last.save(run / "traces" / f"{name}.parquet")
            say("%s", results_text(results[name]))
    assert last is not None
    name = last.result.split
    model.configure(results=for_model(results))
    setting = chosen.threshold_value() if chosen.threshold_spec() is not None else None
    settings, moved = curve_values(chosen, setting), SettingTraces()
    points = recipe.curve(model, splits[name], last, settings, keep=moved.add)
    if main:
        model.save_pretrained(run)
        save_curve(points, run / "pareto.csv")
        moved.save(run / "traces" / "settings.parquet")
        depth, processes = last.result.num_layers, accelerator.num_processes
        write_metrics(run, config, results, points, depth, processes, model.settings.labels)
        for sentence in promise_sentences(model.settings.calibration or {}, results, few=False):
            say("%s", sentence)
        say("report: %s", write_report(run))
