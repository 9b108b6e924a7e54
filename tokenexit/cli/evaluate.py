"""``tokenexit evaluate``: measure a model on a split."""

from __future__ import annotations

from typing import Annotated

import typer

from tokenexit.cli.base import open_model, progressing, read_policy, write_json
from tokenexit.cli.groups import Columns, Loading, flat
from tokenexit.cli.options import (
    BatchSize,
    Data,
    Decode,
    Json,
    MetricText,
    Model,
    Oracle,
    Pending,
    PolicyText,
    Progress,
)


@flat
def evaluate(
    model: Model,
    *,
    data: Data = None,
    split: Annotated[str, typer.Option(help="Which split of the data.")] = "test",
    policy: PolicyText = None,
    batch_size: BatchSize = 32,
    decode: Decode = None,
    columns: Columns,
    pending: Pending = None,
    unknown: Annotated[
        str, typer.Option(help="Labels the model does not know: error, or keep (as wrong).")
    ] = "error",
    metric: MetricText = None,
    oracle: Oracle = None,
    place: Loading,
    progress: Progress = None,
    json_file: Json = None,
) -> None:
    """Quality, mean depth, multiply-accumulates and exit histogram on a split."""
    from tokenexit.evaluation.processes import is_main
    from tokenexit.reporting.oracle_text import oracle_table
    from tokenexit.reporting.tables import results_text

    opened = open_model(model, place)
    opened.measure_by(metric)
    part = opened.split(data, split, **columns.options())
    with progressing(progress):
        result = opened.evaluate(
            part,
            split,
            read_policy(policy),
            batch_size=batch_size,
            decode=decode,
            pending=pending,
            on_unknown=unknown,
            oracle=oracle,
        )
    if is_main():
        typer.echo(results_text(result.to_json()))
        if oracle:
            typer.echo(oracle_table(result.to_json()))
        write_json(json_file, result.to_json())
