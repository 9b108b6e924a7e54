"""``tokenexit bench``: time a model against plain transformers and other engines."""

from __future__ import annotations

from typing import Annotated

import typer

from tokenexit.cli.base import open_model, read_policy, write_json
from tokenexit.cli.groups import Columns, Generating, Loading, flat
from tokenexit.cli.options import Against, BatchSize, Data, Json, Model, PolicyText


@flat
def bench(
    model: Model,
    *,
    data: Data = None,
    split: Annotated[str, typer.Option(help="Which split of the data.")] = "test",
    policy: PolicyText = None,
    batch_size: BatchSize = 32,
    repeats: Annotated[int, typer.Option(min=1, help="Timed passes over the texts.")] = 5,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many texts.")] = None,
    against: Against = None,
    place: Loading,
    columns: Columns,
    generating: Generating,
    json_file: Json = None,
) -> None:
    """Wall-clock against the plain transformers model and other engines, taking turns."""
    from tokenexit.evaluation.bench import check_peers
    from tokenexit.reporting.bench_text import bench_text

    check_peers(() if against is None else against)
    opened = open_model(model, place)
    found = opened.bench(
        opened.split(data, split, **columns.options()),
        limit,
        read_policy(policy),
        batch_size=batch_size,
        repeats=repeats,
        **generating.options(),
        against=against,
    )
    typer.echo(bench_text(found.to_json()))
    write_json(json_file, found.to_json())
