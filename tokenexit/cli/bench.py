"""``tokenexit bench``: time a model against plain transformers and other engines."""

from __future__ import annotations

from typing import Annotated

import typer

from tokenexit.cli.base import open_model, read_policy, write_json
from tokenexit.cli.groups import Columns, Generating, Loading, Measured, flat
from tokenexit.cli.options import Against, Json, Model


@flat
def bench(
    model: Model,
    *,
    texts: Measured,
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
        opened.split(texts.data, texts.split, **columns.options()),
        limit,
        read_policy(texts.policy),
        batch_size=texts.batch_size,
        repeats=repeats,
        **generating.options(),
        against=against,
    )
    typer.echo(bench_text(found.to_json()))
    write_json(json_file, found.to_json())
