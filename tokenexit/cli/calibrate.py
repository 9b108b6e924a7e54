"""``tokenexit calibrate``: choose the policy that keeps a promise."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from tokenexit import files
from tokenexit.cli.base import open_model, progressing, read_policy, write_json
from tokenexit.cli.groups import Columns, Loading, Tuning, flat
from tokenexit.cli.options import BatchSize, Data, Json, MetricText, Model, Progress
from tokenexit.errors import UserError


class RiskOf(Enum):
    """What a promise of risk counts."""

    TEXT = "text"
    WORDS = "words"


@flat
def calibrate(
    context: typer.Context,
    model: Model,
    *,
    data: Data = None,
    split: Annotated[str, typer.Option(help="Which split of the data.")] = "validation",
    min_quality: Annotated[
        float | None,
        typer.Option(
            help="Share of full-depth quality to keep (default 0.99), promised for texts not yet "
            "seen: '... kept >= 0.99 with 90%' of the task's quality."
        ),
    ] = None,
    speedup: Annotated[float | None, typer.Option(help="Layers to save instead.")] = None,
    minimise: Annotated[
        str | None,
        typer.Option(
            help="What the choice saves: macs, layers, or time as measured here (with fewer "
            "questions and fixed layers tried as well, and the finalists timed). By default "
            "layers, and macs of cascades and generators."
        ),
    ] = None,
    latency: Annotated[
        float | None,
        typer.Option(
            help="Milliseconds a text may take here in batches of --batch-size: the best quality "
            "within them; beside --min-quality, whether the fastest that keeps it is within."
        ),
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option(
            help="Probability with which --min-quality is promised (default 0.9); with --loose, "
            "share of bootstrap resamples that keep it."
        ),
    ] = None,
    loose: Annotated[
        bool,
        typer.Option(
            "--loose", help="Take --min-quality for a target on these texts, not for a promise."
        ),
    ] = False,
    risk: Annotated[
        float | None,
        typer.Option(
            help="Share of unseen texts that may differ from full depth, without labels; with "
            "--delta 0.1 short for --promise 'differs <= 0.05 with 90%'."
        ),
    ] = None,
    delta: Annotated[
        float | None, typer.Option(help="Probability that the risk is exceeded; else on average.")
    ] = None,
    risk_of: Annotated[
        RiskOf,
        typer.Option(help="What may differ: anything in a text, or the share of its words."),
    ] = RiskOf.TEXT,
    promise: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PROMISE",
            help="'f1 kept >= 0.99 with 90%', tested on these texts; or NAME=NUMBER of a plug-in.",
        ),
    ] = None,
    list_from: Annotated[
        str | None,
        typer.Option(
            metavar="SPLIT",
            help="Split that fixes which settings a promise tests; the training split if there "
            "is one, else a half of the texts.",
        ),
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="Family to calibrate; a few by default.")
    ] = None,
    tuning: Tuning,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only so many texts, drawn at random; else all.")
    ] = None,
    batch_size: BatchSize = 32,
    columns: Columns,
    metric: MetricText = None,
    place: Loading,
    progress: Progress = None,
    dry_run: Annotated[bool, typer.Option(help="Do not change the model folder.")] = False,
    json_file: Json = None,
) -> None:
    """Choose the policy that keeps a promise, and save it with the model."""
    from tokenexit.calibration import CalibrateConfig
    from tokenexit.calibration.certificate import certificate
    from tokenexit.calibration.clock.saved import COSTS, read_costs
    from tokenexit.calibration.rows.config import ReducerGoal
    from tokenexit.evaluation.processes import is_main
    from tokenexit.models.folders import save_settings
    from tokenexit.models.folders.card import public_name
    from tokenexit.reporting.calibration_text import calibration_text, reducer_text
    from tokenexit.workflows import served_texts as known
    from tokenexit.workflows.lock import locked
    from tokenexit.workflows.overlap import trained_on
    from tokenexit.workflows.reducing import REDUCER, reduce_first

    if not dry_run and not Path(model).is_dir():
        raise UserError(
            f"{model!r} is no folder here, and only a model folder that is here can be changed. "
            "Give one, or add --dry-run for a model of the Hub."
        )
    config = CalibrateConfig(
        min_quality=min_quality,
        speedup=speedup,
        latency=latency,
        minimise=minimise,  # type: ignore[arg-type]
        confidence=confidence,
        loose=loose,
        risk=risk,
        delta=delta,
        risk_of=risk_of.value,  # type: ignore[arg-type]
        **read_promises(promise or []),
        limit=limit,
        reducer=ReducerGoal(**tuning.options()),
    )
    if not dry_run and is_main():
        context.with_resource(locked(model, "tokenexit calibrate"))
    opened = open_model(model, place)
    opened.measure_by(metric)
    labels = not config.unlabelled  # else full depth is all it is held to
    part = opened.split(data, split, labels, **columns.options())
    with progressing(progress):
        costs = read_costs(Path(model) / COSTS)
        exits = len(opened.model.settings.exit_layers) > 1
        reduced, config = reduce_first(
            opened.model, part, config, exits=exits, name=split, batch_size=batch_size
        )
        listing = None
        listed = bool(config.guarantees) or config.promises_quality
        if listed and (list_from or "train") != split:
            listing = opened.listing(data, list_from, labels, **columns.options())
        training, source = opened.model.settings.training, opened.source(data)
        if reduced is not None or place.reducer is not None:
            training = known.noted(training, {known.REDUCER: [part if reduced else None]})
        used, looks = known.served_before(training, model, source, split, part)
        unknown = known.not_known(training, model, source)
        found = opened.calibrate(
            part, split, config, read_policy(policy), batch_size, costs=costs, design=listing,
            looks=looks,
        )  # fmt: skip
    if not is_main():
        return
    chose = {known.POLICY: [part], known.LISTED: [listing if list_from != "train" else None]}
    told = known.noted({"data_used_for": used, "data_not_known": unknown}, chose)
    if not dry_run:
        certificate.remove_certificate(Path(model))  # of another policy
    if found.evidence is not None and not dry_run:
        seen = trained_on(opened, data, part, split, columns.options())
        facts = certificate.Told(
            data=public_name(source),
            split=split,
            list_from=split if listing is None else list_from or "train",
            list_texts=found.measured["texts_choosing"],
            used_for=used,
            not_known=unknown,
            batch_size=batch_size,
            trained_on=seen,
        )
        made = certificate.write_certificate(Path(model), opened.model, found.evidence, facts)
        told["certificate"] = certificate.summary(made)
    data_out = {**found.to_json(), **told}
    if reduced is not None:
        data_out["reducer"] = reduced.to_json()
        typer.echo(reducer_text(data_out["reducer"]))
    typer.echo(calibration_text(data_out))
    if not dry_run:
        short = {**found.for_model(), **told}
        # Results were measured with the policy of before.
        opened.model.configure(
            policy=found.policy, calibration=short, results=None, training=training
        )
        record = {"calibration.json": files.to_json(data_out, indent=2) + "\n"}
        if reduced is not None:
            record[REDUCER] = files.to_json(reduced.to_json(), indent=2) + "\n"
        if found.cost_model is not None:
            record[COSTS] = files.to_json(found.cost_model, indent=2) + "\n"
        save_settings(opened.model, Path(model), record)
    write_json(json_file, data_out)


def read_promises(told: list[str]) -> dict[str, Any]:
    """Settings of a calibration: guarantees joined into one, and promises by name."""
    guarantees = [text for text in told if "<" in text or ">" in text]
    named = dict(read_promise(text) for text in told if text not in guarantees)
    return {"promises": named, "guarantee": " and ".join(guarantees) or None}


def read_promise(told: str) -> tuple[str, float]:
    """The name of a promise and what is asked of it.

    Raises:
        UserError: It is not ``NAME=NUMBER``.
    """
    name, _, asked = told.partition("=")
    try:
        return name.strip(), float(asked)
    except ValueError:
        raise UserError(
            f"--promise takes NAME=NUMBER, such as min_share=0.9, not {told!r}."
        ) from None
