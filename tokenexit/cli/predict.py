"""``tokenexit predict``: text in, JSON lines out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from tokenexit.cli.base import open_model, read_policy
from tokenexit.cli.options import BatchSize, Model, Plugin, PolicyText
from tokenexit.errors import UserError


def predict(
    model: Model,
    file: Annotated[str, typer.Argument(help="Text file, one text a line; - for stdin.")] = "-",
    policy: PolicyText = None,
    batch_size: BatchSize = 32,
    plugin: Plugin = None,
) -> None:
    """Text in, JSON lines out: labels and entities, or the text written, and exit layers."""
    lines = read_lines(file)
    for result in open_model(model, plugin).predict(lines, read_policy(policy), batch_size):
        typer.echo(json.dumps(result, ensure_ascii=False))


def read_lines(file: str) -> list[str]:
    """Lines of a text file or of standard input, empty ones included."""
    if file != "-" and not Path(file).is_file():
        raise UserError(f"There is no file {file!r}; give a text file, or - for standard input.")
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file!r} cannot be read as UTF-8 text: {error}.") from error
    # Not splitlines: form feeds and the like stand inside lines.
    return text.removesuffix("\n").split("\n") if text else []
