"""``tokenexit fit-gate``: fit a context gate to a finished model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from tokenexit.cli.base import open_model, progressing, write_json
from tokenexit.cli.groups import Columns, Machine, OptionGroup, Showing, TrainingTexts, flat, option
from tokenexit.cli.options import BatchSize, Model
from tokenexit.errors import UserError


@dataclass(frozen=True)
class Fitting(OptionGroup):
    """What the gate reads and is taught, and how."""

    target: str | None = option(
        "What it is taught: agreement (with the top), right or mended (by gold), cost; "
        "texts usually mended."
    )
    features: str | None = option("Numbers of a row that it reads, with commas between.")
    neighbours: str | None = option("Those it reads of neighbours, with commas between.")
    reach: int | None = option("Neighbours on either side, or last tokens of a generator; 0: none.")
    history: int | None = option("Earlier exits remembered.")
    projection: int | None = option("Numbers of a state, for the feature projection.")
    inner: int | None = option("Units of its hidden layer; 0: a linear gate.")
    shared: bool | None = option("One gate for all exits.")
    rounds: int | None = option("1: full-depth states; each more: drawn with exits on.")
    epochs: int | None = option("Times it sees every row.")
    dropout: float | None = option("Share of its numbers hidden at random meanwhile.")
    noise: float | None = option(
        "Of a generator: share of tokens replaced in a second copy of sources; 0: none."
    )
    limit: int | None = option(
        "Texts at most, drawn at random; else 20000, or 5000 of a generator."
    )

    def options(self) -> dict[str, Any]:
        """As ``fit_gate`` of a model takes them, as far as they were told."""
        told = super().options()
        for name in ("features", "neighbours"):
            told[name] = _names(told[name])
        return {name: value for name, value in told.items() if value is not None}


@flat
def fit_gate(
    context: typer.Context,
    model: Model,
    *,
    texts: TrainingTexts,
    fitting: Fitting,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    batch_size: BatchSize = 32,
    columns: Columns,
    place: Machine,
    showing: Showing,
) -> None:
    """Fit a context gate on training texts and save it with the model's heads.

    The policy context_gate asks it: choose its threshold by calibrating on validation texts.
    """
    from tokenexit.evaluation.processes import is_main
    from tokenexit.models.folders import save
    from tokenexit.workflows import served_texts as known
    from tokenexit.workflows.lock import locked

    if not Path(model).is_dir():
        raise UserError(f"{model!r} is no folder here: the gate is saved in the model's folder.")
    if is_main():
        context.with_resource(locked(model, "tokenexit fit-gate"))
    opened = open_model(model, place)
    part = opened.split(texts.data, texts.split, **columns.options())
    with progressing(showing.progress):
        gate = opened.fit_gate(part, batch_size=batch_size, seed=seed, **fitting.options())
    if not is_main():
        return
    opened.model.use_context(gate)
    training = known.noted(opened.model.settings.training, {known.FITTING_GATE: [part]})
    opened.model.configure(training=training)
    save(opened.model, Path(model))
    typer.echo(
        f"A gate of {gate.inputs} numbers ({gate.macs:,} multiply-accumulates a question) for the "
        f"exits after layers {', '.join(map(str, gate.config.exits))}, saved with the model.\n"
        f"Choose its threshold: tokenexit calibrate {model} --policy context_gate"
    )
    write_json(
        showing.json_file, {**gate.config.to_json(), "inputs": gate.inputs, "macs": gate.macs}
    )


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]
