"""``tokenexit ngrams``: a table of states, for a model whose lower layers read n-grams."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from tokenexit.cli.base import open_model, progressing, write_json
from tokenexit.cli.groups import Columns, Machine, Showing, TrainingTexts, flat
from tokenexit.cli.options import Model
from tokenexit.errors import UserError


@flat
def ngrams(
    context: typer.Context,
    model: Model,
    *,
    corpus: TrainingTexts,
    most: Annotated[
        int, typer.Option(min=1, max=1 << 40, help="N-grams at most, the commonest first.")
    ] = 100_000,
    unknown: Annotated[
        str | None,
        typer.Option(help="What is done about others: compute or fallback; as the model does."),
    ] = None,
    columns: Columns,
    place: Machine,
    showing: Showing,
) -> None:
    """Compute the lower layers' states of a corpus's n-grams, and save them with the model.

    For models with embeddings of n-grams, as the method skipbert trains them. Answers change by
    rounding, and those of unknown trigrams where they fall back: evaluate, or calibrate, again.
    """
    from tokenexit.models.folders import save
    from tokenexit.workflows.lock import locked

    folder = Path(model)
    if not folder.is_dir():
        raise UserError(f"{model!r} is no folder here: the table is saved in the model's folder.")
    context.with_resource(locked(model, "tokenexit ngrams"))
    opened = open_model(model, place)
    if not hasattr(opened.model, "make_table"):
        raise UserError("Tables of n-grams are made for taggers and text classifiers with exits.")
    texts = opened.texts(opened.split(corpus.data, corpus.split, False, **columns.options()))
    with tempfile.TemporaryDirectory(prefix=".ngrams.", dir=folder) as beside:
        with progressing(showing.progress):
            table = opened.model.make_table(texts, most, Path(beside) / "states", unknown)
        opened.model.use_table(table)
        save(opened.model, folder)
    known = len(table), *table.states.shape[1:]
    typer.echo(
        f"States of {known[0]:,} n-grams, {2 * known[0] * known[1] * known[2] / 2**20:,.1f} MiB, "
        f"saved with the model.\nSee what they save: tokenexit bench {model}"
    )
    write_json(showing.json_file, {"ngrams": known[0], "bytes": 2 * known[0] * known[1] * known[2]})
