"""What several commands can be told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tokenexit import files

Model = Annotated[str, typer.Argument(help="Model or run folder, or a Hub id.")]
Data = Annotated[
    str | None,
    typer.Option(help="Hub id, folder or file of labelled texts; by default that of the run."),
]

SplitName = Annotated[str, typer.Option(help="Which split of the data.")]


def writable(path: Path | None) -> Path | None:
    """Refuse a place that cannot be written to, before anything is computed."""
    if path is not None:
        files.check_output(path)
    return path


Json = Annotated[
    Path | None,
    typer.Option("--json", callback=writable, help="Also write the figures to this file."),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", callback=writable, help="File to write instead of the screen."),
]
PolicyText = Annotated[
    str | None,
    typer.Option(
        help="Policy as a name, name:threshold such as entropy:0.3, or JSON; the model's own by "
        "default."
    ),
]
RequireCertificate = Annotated[
    bool,
    typer.Option(
        "--require-certificate",
        help="Refuse a model whose certificate does not hold, or is of another policy, precision, "
        "device, runtime or setting than is going to run.",
    ),
]
Plugin = Annotated[
    list[str] | None,
    typer.Option(help="Your own .py file that registers a policy, head, panel, ..."),
]
BatchSize = Annotated[int, typer.Option(min=1, max=1_000_000, help="Sentences a batch.")]
PairColumn = Annotated[str | None, typer.Option(help="Column of the second texts.")]
Lang = Annotated[
    str | None, typer.Option(help="Direction of a column of translations, such as en-de.")
]
DataName = Annotated[
    str | None, typer.Option(help="Configuration of a Hub data set, or a folder inside --data.")
]
Pending = Annotated[
    str | None,
    typer.Option("--pending", help="When generating: lazy, eager, parallel or verify."),
]
MetricText = Annotated[
    str | None,
    typer.Option(
        "--metric",
        help="The quality, such as chrf, ter or accuracy; else the usual one.",
    ),
]
Against = Annotated[
    str | None,
    typer.Option(
        help="Engines to compare with as well, with commas between: ctranslate2; onnxruntime and "
        "compile for taggers and classifiers."
    ),
]
Decode = Annotated[
    str | None, typer.Option(help="argmax, legal or crf, for taggers; the model's own by default.")
]
Oracle = Annotated[
    bool | None,
    typer.Option(
        "--oracle/--no-oracle",
        help="Also say where an oracle would let words or tokens leave: at the first exit from "
        "which on every exit names what the top names, all read at full depth (tokens along what "
        "full depth wrote). How much of its saving is reached, and which classes pay: false "
        "alarms left before it and say something else, late leavers lose layers after it. One "
        "more pass; by default for generators only, and in short.",
        show_default=False,
    ),
]
Progress = Annotated[
    bool | None,
    typer.Option(
        "--progress/--no-progress",
        help="Bars on stderr; on a terminal by default.",
        show_default=False,
    ),
]
