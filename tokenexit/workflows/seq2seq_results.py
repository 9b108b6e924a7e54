"""After training a generator: choose the policy, measure, save, report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from tokenexit.calibration.found import Calibration
from tokenexit.calibration.texts import calibrate_texts
from tokenexit.data.pairs import PairSplit
from tokenexit.evaluation.curve import measured_curve, save_curve
from tokenexit.evaluation.generation import evaluate_texts
from tokenexit.evaluation.oracle_tokens import oracle_exits
from tokenexit.evaluation.reference import in_full_precision, is_reduced
from tokenexit.models.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.policies import Policy
from tokenexit.policies.never import Never
from tokenexit.reporting import write_report
from tokenexit.reporting.tables import results_text
from tokenexit.tasks import generation_task
from tokenexit.wording.promises import promise_sentences
from tokenexit.workflows.results import (
    choose_policy,
    curve_values,
    for_model,
    training_record,
    write_metrics,
)
from tokenexit.workflows.selection import Selection
from tokenexit.workflows.seq2seq_config import Seq2SeqConfig
from tokenexit.workflows.speaking import logger


def finish_texts(
    config: Seq2SeqConfig,
    model: ExitModelForSeq2SeqLM,
    splits: dict[str, PairSplit],
    run: Path,
    policy: Policy | None,
    accelerator: Accelerator,
    held: Selection[PairSplit],
) -> None:
    """Everything after training; each result is on disk as soon as it exists.

    Args:
        config: The run.
        model: The trained generator; gets its policy, calibration and results.
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
        found = calibrate_texts(
            model,
            held.calibrating,
            config.calibrate,
            families=families,
            batch_size=config.batch_size,
            design=held.design,
        )
        return replace(found, data_used_for=held.used_for)

    chosen = choose_policy(config, model, policy, run, main, search)
    model.configure(policy=chosen)

    results: dict[str, Any] = {}
    full = deep = None
    also = [name for name in generation_task(config.task).further() if name != config.metric]
    for name in [n for n in ("validation", "test") if n in splits]:
        with in_full_precision(model):
            full, deep = evaluate_texts(
                model, splits[name], name, Never(), batch_size=config.batch_size
            )
        oracle = oracle_exits(model, splits[name], deep, batch_size=config.batch_size)
        result, trace = evaluate_texts(
            model,
            splits[name],
            name,
            full=deep,
            batch_size=config.batch_size,
            oracle=oracle,
            also=also,
        )
        results[name] = result.to_json()
        if main:
            trace.save(run / "traces" / f"{name}.parquet", splits[name], deep, oracle)
            say("%s", results_text(results[name]))
    last = list(results)[-1]
    model.configure(results=for_model(results))
    if is_reduced(model):
        full, _ = evaluate_texts(
            model, splits[last], last, Never(), full=deep, batch_size=config.batch_size
        )
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
        depth, processes = model.decoder.num_layers, accelerator.num_processes
        write_metrics(run, config, results, points, depth, processes)
        for sentence in promise_sentences(model.settings.calibration or {}, results, few=False):
            say("%s", sentence)
        say("report: %s", write_report(run))
