"""``tokenexit predict`` over a corpus: what it can be told, and where the answers go."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import typer

from tokenexit.cli.groups import OptionGroup, option
from tokenexit.cli.options import DataName, Lang, PairColumn
from tokenexit.cli.showing import bar
from tokenexit.errors import UserError


class Format(StrEnum):
    """How parts are written."""

    jsonl = "jsonl"
    parquet = "parquet"


class BadRows(StrEnum):
    """What becomes of a row without a text."""

    stop = "stop"
    note = "note"


@dataclass(frozen=True)
class CorpusOptions(OptionGroup):
    """How a corpus is read, and its answers written."""

    output_dir: Path | None = option(
        "Folder of the answers to a corpus, one part a block. The same command goes on where "
        "parts are missing; torchrun and accelerate launch share the blocks over processes."
    )
    part_format: Format | None = option("Of the parts: jsonl (by default) or parquet.", "--format")
    block_size: int | None = option(
        "Rows a part (10000 by default): what a process that dies loses at most.", min=1
    )
    split: str | None = option("Split of a folder or Hub data set; all of it by default.")
    data_name: DataName = None
    revision: str | None = option("Branch, tag or commit of a Hub data set.")
    column: str | None = option("Column of the texts, words or sources.", "--column")
    pair_column: PairColumn = None
    lang: Lang = None
    keep: list[str] | None = option("Column to write beside the answers; may be repeated.")
    bad_rows: BadRows | None = option(
        "A row without a text ends the run (stop, by default), or its record says so (note).",
        "--bad-rows",
    )

    def options(self) -> dict[str, Any]:
        """What only a corpus can be told, as its configuration takes it, as far as it was told."""
        told = super().options()
        told = {"format": told.pop("part_format"), **told}
        del told["output_dir"]
        plain = {name: getattr(value, "value", value) for name, value in told.items()}
        return {name: value for name, value in plain.items() if value}


def several_processes() -> bool:
    """Whether torchrun or accelerate launch started others beside this one."""
    return os.environ.get("WORLD_SIZE", "1") not in ("", "1")


def wants_corpus(source: str, output_dir: Path | None, told: dict[str, Any]) -> bool:
    """Whether a source is read as a corpus rather than as lines.

    Args:
        source: File, folder, Hub id, or - for standard input.
        output_dir: Folder of the answers, if one was given.
        told: Options that only a corpus has, as far as they were given.

    Raises:
        UserError: What was asked for needs a corpus, or a folder, and there is none.
    """
    if source == "-":
        given = "--output-dir" if output_dir else next((f"--{n}" for n in told), None)
        if given is not None:
            raise UserError(
                f"{given.replace('_', '-')} is for a corpus, and standard input cannot be read "
                "twice: give a file, a folder or a Hub id."
            )
    if several_processes() and output_dir is None:
        raise UserError(
            "Several processes share a corpus only if there is a folder for their parts: give "
            "--output-dir, or start one process."
        )
    if output_dir is not None or told:
        return True
    from tokenexit.data.corpus import is_corpus

    return is_corpus(source)


def answers(settings: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The answers to a corpus, in order."""
    from tokenexit.workflows.corpus import CorpusConfig, records

    return records(CorpusConfig(**settings))


def into_folder(settings: dict[str, Any], shown: bool) -> None:
    """Write parts, and say where they are.

    Args:
        settings: Of a ``CorpusConfig``.
        shown: Whether the main process shows how far it is.
    """
    from tokenexit.evaluation.processes import is_main
    from tokenexit.workflows.corpus import CorpusConfig, predict_corpus

    with ExitStack() as stack:

        def started(rows: int) -> Callable[[int], Any]:
            return stack.enter_context(bar(rows, shown and is_main()))

        done = predict_corpus(CorpusConfig(**settings), started)
    if is_main():
        parts = f"{done.missing} of {done.blocks} parts were missing"
        typer.echo(f"{done.parts}: {done.rows} rows; {parts}")
