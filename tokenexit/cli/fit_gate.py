"""``tokenexit fit-gate``: fit a context gate to a finished model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tokenexit.cli.base import open_model, progressing, write_json
from tokenexit.cli.groups import Columns, Machine, flat
from tokenexit.cli.options import BatchSize, Data, Json, Model, Progress
from tokenexit.errors import UserError


@flat
def fit_gate(
    context: typer.Context,
    model: Model,
    *,
    data: Data = None,
    split: Annotated[str, typer.Option(help="Which split of the data.")] = "train",
    target: Annotated[
        str | None,
        typer.Option(
            help="What it is taught: agreement (with the top), right or mended (by gold), cost; "
            "texts usually mended."
        ),
    ] = None,
    features: Annotated[
        str | None, typer.Option(help="Numbers of a row that it reads, with commas between.")
    ] = None,
    neighbours: Annotated[
        str | None, typer.Option(help="Those it reads of neighbours, with commas between.")
    ] = None,
    reach: Annotated[
        int | None,
        typer.Option(help="Neighbours on either side, or last tokens of a generator; 0: none."),
    ] = None,
    history: Annotated[int | None, typer.Option(help="Earlier exits remembered.")] = None,
    projection: Annotated[
        int | None, typer.Option(help="Numbers of a state, for the feature projection.")
    ] = None,
    inner: Annotated[
        int | None, typer.Option(help="Units of its hidden layer; 0: a linear gate.")
    ] = None,
    shared: Annotated[bool | None, typer.Option(help="One gate for all exits.")] = None,
    rounds: Annotated[
        int | None, typer.Option(help="1: full-depth states; each more: drawn with exits on.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Times it sees every row.")] = None,
    dropout: Annotated[
        float | None, typer.Option(help="Share of its numbers hidden at random meanwhile.")
    ] = None,
    noise: Annotated[
        float | None,
        typer.Option(
            help="Of a generator: share of tokens replaced in a second copy of sources; 0: none."
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(help="Texts at most, drawn at random; else 20000, or 5000 of a generator."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    batch_size: BatchSize = 32,
    columns: Columns,
    place: Machine,
    progress: Progress = None,
    json_file: Json = None,
) -> None:
    """Fit a context gate on training texts and save it with the model's heads.

    The policy context_gate asks it: choose its threshold by calibrating on validation texts.
    """
    from tokenexit.evaluation.processes import is_main
    from tokenexit.models.folders import save
    from tokenexit.workflows.lock import locked

    if not Path(model).is_dir():
        raise UserError(f"{model!r} is no folder here: the gate is saved in the model's folder.")
    if is_main():
        context.with_resource(locked(model, "tokenexit fit-gate"))
    opened = open_model(model, place)
    settings = {
        "target": target,
        "features": _names(features),
        "neighbours": _names(neighbours),
        "reach": reach,
        "history": history,
        "projection": projection,
        "inner": inner,
        "shared": shared,
        "rounds": rounds,
        "epochs": epochs,
        "dropout": dropout,
        "noise": noise,
        "limit": limit,
    }
    part = opened.split(data, split, **columns.options())
    given = {name: value for name, value in settings.items() if value is not None}
    with progressing(progress):
        gate = opened.fit_gate(part, batch_size=batch_size, seed=seed, **given)
    if not is_main():
        return
    opened.model.use_context(gate)
    save(opened.model, Path(model))
    typer.echo(
        f"A gate of {gate.inputs} numbers ({gate.macs:,} multiply-accumulates a question) for the "
        f"exits after layers {', '.join(map(str, gate.config.exits))}, saved with the model.\n"
        f"Choose its threshold: tokenexit calibrate {model} --policy context_gate"
    )
    write_json(json_file, {**gate.config.to_json(), "inputs": gate.inputs, "macs": gate.macs})


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]
