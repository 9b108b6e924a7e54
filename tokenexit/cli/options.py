"""What several commands can be told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[str, typer.Argument(help="Model or run folder, or a Hub id.")]
Data = Annotated[str, typer.Option(help="Hub id, folder or file of labelled sentences.")]
Json = Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")]
PolicyText = Annotated[
    str | None, typer.Option(help="Policy as a name or JSON; the model's own by default.")
]
Plugin = Annotated[
    list[str] | None, typer.Option(help="Your own .py file that registers a policy or head.")
]
BatchSize = Annotated[int, typer.Option(min=1, help="Sentences a batch.")]
Column = Annotated[str | None, typer.Option(help="Column of the tags.")]
Lang = Annotated[
    str | None, typer.Option(help="Direction of a column of translations, such as en-de.")
]
PendingText = Annotated[
    str | None,
    typer.Option("--pending", help="When generating: lazy, eager, parallel or verify."),
]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads torch computes with.")]
