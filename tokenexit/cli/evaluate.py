"""``tokenexit evaluate``: measure a model on a split."""

from __future__ import annotations

from typing import Annotated

import typer

from tokenexit.cli.base import open_model, progressing, read_policy, write_json
from tokenexit.cli.groups import Columns, Loading, Measured, Showing, flat
from tokenexit.cli.options import Decode, MetricText, Model, Oracle, Pending


@flat
def evaluate(
    model: Model,
    *,
    texts: Measured,
    decode: Decode = None,
    columns: Columns,
    pending: Pending = None,
    unknown: Annotated[
        str, typer.Option(help="Labels the model does not know: error, or keep (as wrong).")
    ] = "error",
    metric: MetricText = None,
    oracle: Oracle = None,
    place: Loading,
    showing: Showing,
) -> None:
    """Quality, mean depth, multiply-accumulates and exit histogram on a split."""
    from tokenexit.evaluation.processes import is_main
    from tokenexit.reporting.oracle_text import oracle_table
    from tokenexit.reporting.tables import results_text

    opened = open_model(model, place)
    opened.measure_by(metric)
    part = opened.split(texts.data, texts.split, **columns.options())
    with progressing(showing.progress):
        result = opened.evaluate(
            part,
            texts.split,
            read_policy(texts.policy),
            batch_size=texts.batch_size,
            decode=decode,
            pending=pending,
            on_unknown=unknown,
            oracle=oracle,
        )
    if is_main():
        typer.echo(results_text(result.to_json()))
        if oracle:
            typer.echo(oracle_table(result.to_json()))
        write_json(showing.json_file, result.to_json())
