"""What ``tokenexit predict`` writes and shows while it is at work."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from tokenexit import files


@contextmanager
def written(output: Path | None) -> Iterator[Callable[[str], Any]]:
    """Takes lines: to the screen at once, or into a file that is whole or not there, or a pipe."""
    if output is None:
        yield lambda line: typer.echo(line)  # which flushes
        return
    with files.output(output) as out:
        yield lambda line: out.write(line + "\n")


@contextmanager
def bar(total: int | None, shown: bool) -> Iterator[Callable[[int], Any]]:
    """Takes how many texts were answered, of how many, if somebody is to see it."""
    if not shown:
        yield lambda count: None
        return
    from tqdm import tqdm

    with tqdm(total=total, unit="text", dynamic_ncols=True) as shown_bar:
        yield shown_bar.update


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
def said_once() -> Iterator[None]:
    """Write warnings on stderr, each kind once."""
    handler = logging.StreamHandler()
    handler.addFilter(_Once())
    logger = logging.getLogger("tokenexit")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
