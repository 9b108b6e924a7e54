"""``tokenexit evaluate``: measure a model on a split."""

from __future__ import annotations

from typing import Annotated

import typer

from tokenexit.cli.base import open_model, progressing, read_policy, write_json
from tokenexit.cli.options import (
    BatchSize,
    Column,
    ConvertTags,
    Data,
    DataName,
    Decode,
    Device,
    Dtype,
    Json,
    LabelColumn,
    Lang,
    MetricText,
    Model,
    Oracle,
    PairColumn,
    PendingText,
    Plugin,
    PolicyText,
    Precision,
    Progress,
    Runtime,
    SourceColumn,
    TargetColumn,
    Threads,
)


def evaluate(
    model: Model,
    data: Data = None,
    split: Annotated[str, typer.Option(help="Which split of the data.")] = "test",
    policy: PolicyText = None,
    batch_size: BatchSize = 32,
    decode: Decode = None,
    column: Column = None,
    label_column: LabelColumn = None,
    pair_column: PairColumn = None,
    source_column: SourceColumn = None,
    target_column: TargetColumn = None,
    lang: Lang = None,
    convert_tags: ConvertTags = None,
    data_name: DataName = None,
    pending: PendingText = None,
    unknown: Annotated[
        str, typer.Option(help="Labels the model does not know: error, or keep (as wrong).")
    ] = "error",
    metric: MetricText = None,
    oracle: Oracle = None,
    threads: Threads = None,
    device: Device = None,
    dtype: Dtype = None,
    precision: Precision = None,
    runtime: Runtime = None,
    progress: Progress = None,
    plugin: Plugin = None,
    json_file: Json = None,
) -> None:
    """Quality, mean depth, multiply-accumulates and exit histogram on a split."""
    from tokenexit.evaluation.processes import is_main
    from tokenexit.reporting.oracle_text import oracle_table
    from tokenexit.reporting.tables import results_text

    opened = open_model(
        model,
        plugin,
        threads=threads,
        device=device,
        dtype=dtype,
        precision=precision,
        runtime=runtime,
    )
    opened.measure_by(metric)
    part = opened.split(
        data,
        split,
        column=column,
        label_column=label_column,
        pair_column=pair_column,
        source_column=source_column,
        target_column=target_column,
        lang=lang,
        convert_tags=convert_tags,
        data_name=data_name,
    )
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
