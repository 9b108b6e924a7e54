"""``tokenexit predict``: text in, JSON lines out."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from tokenexit import files
from tokenexit.cli.base import open_model, read_policy, show_bars
from tokenexit.cli.lines import Lines
from tokenexit.cli.options import (
    BatchSize,
    Decode,
    Device,
    Dtype,
    Model,
    PendingText,
    Plugin,
    PolicyText,
    Precision,
    Progress,
    Runtime,
    Threads,
    writable,
)


def predict(
    model: Model,
    file: Annotated[
        str, typer.Argument(help="Text file or pipe, one text a line; - for stdin.")
    ] = "-",
    policy: PolicyText = None,
    batch_size: BatchSize = 32,
    decode: Decode = None,
    pending: PendingText = None,
    pretokenized: Annotated[
        bool, typer.Option(help="Lines hold words with spaces between them, for taggers.")
    ] = False,
    splitter: Annotated[
        str | None, typer.Option(help="How lines become words; as the model learned by default.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", callback=writable, help="File to write instead of the screen."
        ),
    ] = None,
    threads: Threads = None,
    device: Device = None,
    dtype: Dtype = None,
    precision: Precision = None,
    runtime: Runtime = None,
    progress: Progress = None,
    plugin: Plugin = None,
) -> None:
    """Text in, JSON lines out: labels and entities, or the text written, and exit layers.

    Results are written while texts arrive.
    """
    lines = Lines(file)
    chosen = read_policy(policy)
    opened = open_model(
        model,
        plugin,
        threads=threads,
        device=device,
        dtype=dtype,
        precision=precision,
        runtime=runtime,
    )
    options = {
        "decode": decode,
        "pending": pending,
        "splitter": splitter,
        "pretokenized": pretokenized or None,
    }
    size = batch_size * opened.model.look_ahead
    seen = show_bars(progress) and (progress or output is not None or not sys.stdout.isatty())
    with _said_once(), _written(output) as write, _bar(lines.total, seen) as step:
        for block in lines.blocks(size):
            for result in opened.predict(block, chosen, batch_size, **options):
                write(files.json_line(result))
            step(len(block))


@contextmanager
def _written(output: Path | None) -> Iterator[Callable[[str], Any]]:
    """Takes lines: to the screen at once, or into a file that is whole or not there, or a pipe."""
    if output is None:
        yield lambda line: typer.echo(line)  # which flushes
        return
    with files.output(output) as out:
        yield lambda line: out.write(line + "\n")


@contextmanager
def _bar(total: int | None, shown: bool) -> Iterator[Callable[[int], Any]]:
    if not shown:
        yield lambda count: None
        return
    from tqdm import tqdm

    with tqdm(total=total, unit="text", dynamic_ncols=True) as bar:
        yield bar.update


class _Once(logging.Filter):
    """Lets each kind of message through once: texts come in blocks, and so do warnings."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[object] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        new = record.msg not in self._said
        self._said.add(record.msg)
        return new


@contextmanager
def _said_once() -> Iterator[None]:
    handler = logging.StreamHandler()
    handler.addFilter(_Once())
    logger = logging.getLogger("tokenexit")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
