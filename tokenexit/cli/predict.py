"""``tokenexit predict``: text in, JSON lines out."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from tokenexit import files
from tokenexit.cli.base import certified, open_model, read_policy, show_bars
from tokenexit.cli.corpus import CorpusOptions, answers, into_folder, wants_corpus
from tokenexit.cli.groups import Generating, Loading, flat
from tokenexit.cli.lines import Lines
from tokenexit.cli.options import (
    BatchSize,
    Decode,
    Model,
    Output,
    PolicyText,
    Progress,
    RequireCertificate,
)
from tokenexit.cli.showing import bar, said_once, written
from tokenexit.errors import UserError

_BLOCK = 16
"""Batches of lines that are written together by depth: ended texts give way within them."""

_HARMLESS = ("max_wait", "pretokenized")
"""Options that are no settings of a model: how long texts wait, and how words stand in a file."""


@flat
def predict(
    model: Model,
    file: Annotated[
        str,
        typer.Argument(
            help="Text file or pipe, one text a line; - for stdin; or a corpus: folder or file of "
            "parquet, JSON lines or text, or a Hub id."
        ),
    ] = "-",
    *,
    policy: PolicyText = None,
    batch_size: BatchSize = 32,
    decode: Decode = None,
    generating: Generating,
    pretokenized: Annotated[
        bool, typer.Option(help="Lines hold words with spaces between them, for taggers.")
    ] = False,
    splitter: Annotated[
        str | None, typer.Option(help="How lines become words; as the model learned by default.")
    ] = None,
    output: Output = None,
    require_certificate: RequireCertificate = False,
    place: Loading,
    progress: Progress = None,
    corpus: CorpusOptions,
) -> None:
    """Text in, JSON lines out: labels and entities, or the text written, and exit layers.

    Results are written while texts arrive. A folder, a parquet file or a Hub id is a corpus, and
    so is any file with --output-dir: read piece by piece, answered in parts, shared by processes.
    """
    options = {
        "decode": decode,
        **generating.options(),
        "splitter": splitter,
        "pretokenized": pretokenized or None,
    }
    told, output_dir = corpus.options(), corpus.output_dir
    if output is not None and output_dir is not None:
        raise UserError("--output is one file and --output-dir a folder of parts; give one.")
    opened = None
    if require_certificate:
        changes = {name: value for name, value in options.items() if name not in _HARMLESS}
        opened, _ = certified(model, place, read_policy(policy), **changes)
    if wants_corpus(file, output_dir, told):
        machine = place.options()
        own = {"model": model, "data": file, "policy": policy, "batch_size": batch_size}
        own |= {"plugins": machine.pop("plugin") or [], "output_dir": str(output_dir or "")}
        given = {**own, **options, **machine, **told}
        given = {name: value for name, value in given.items() if value is not None}
        with said_once():
            if output_dir is not None:
                into_folder(given, show_bars(progress))
            else:
                _write(answers(given), output, None, progress)
        return
    lines = Lines(file)
    opened = opened or open_model(model, place)
    chosen = read_policy(policy)  # which may be a plug-in's
    size = batch_size * (_BLOCK if generating.batching == "by_depth" else opened.model.look_ahead)
    found = (
        result
        for block in lines.blocks(size)
        for result in opened.predict(block, chosen, batch_size, **options)
    )
    with said_once():
        _write(found, output, lines.total, progress)


def _write(
    results: Iterable[Any], output: Path | None, total: int | None, progress: bool | None
) -> None:
    seen = show_bars(progress) and (progress or output is not None or not sys.stdout.isatty())
    with written(output) as write, bar(total, bool(seen)) as step:
        for result in results:
            write(files.json_line(result))
            step(1)
