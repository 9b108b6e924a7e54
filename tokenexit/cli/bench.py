"""``tokenexit bench``: time a model against plain transformers and other engines."""

from __future__ import annotations

from typing import Annotated

import typer

from tokenexit.cli.base import open_model, read_policy, write_json
from tokenexit.cli.options import (
    Against,
    Batching,
    BatchSize,
    Column,
    ConvertTags,
    Data,
    DataName,
    Device,
    Dtype,
    Json,
    LabelColumn,
    Lang,
    MaxWait,
    Model,
    PairColumn,
    PendingText,
    Plugin,
    PolicyText,
    Precision,
    Runtime,
    SourceColumn,
    TargetColumn,
    Threads,
)


def bench(
    model: Model,
    data: Data = None,
    split: Annotated[str, typer.Option(help="Which split of the data.")] = "test",
    policy: PolicyText = None,
    batch_size: BatchSize = 32,
    repeats: Annotated[int, typer.Option(min=1, help="Timed passes over the texts.")] = 5,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many texts.")] = None,
    against: Against = None,
    threads: Threads = None,
    device: Device = None,
    dtype: Dtype = None,
    precision: Precision = None,
    runtime: Runtime = None,
    column: Column = None,
    label_column: LabelColumn = None,
    pair_column: PairColumn = None,
    source_column: SourceColumn = None,
    target_column: TargetColumn = None,
    lang: Lang = None,
    convert_tags: ConvertTags = None,
    data_name: DataName = None,
    pending: PendingText = None,
    batching: Batching = None,
    max_wait: MaxWait = None,
    plugin: Plugin = None,
    json_file: Json = None,
) -> None:
    """Wall-clock against the plain transformers model and other engines, taking turns."""
    from tokenexit.evaluation.bench import check_peers
    from tokenexit.reporting.bench_text import bench_text

    check_peers(() if against is None else against)
    opened = open_model(
        model,
        plugin,
        threads=threads,
        device=device,
        dtype=dtype,
        precision=precision,
        runtime=runtime,
    )
    found = opened.bench(
        opened.split(
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
        ),
        limit,
        read_policy(policy),
        batch_size=batch_size,
        repeats=repeats,
        pending=pending,
        batching=batching,
        max_wait=max_wait,
        against=against,
    )
    typer.echo(bench_text(found.to_json()))
    write_json(json_file, found.to_json())
