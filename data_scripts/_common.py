"""What the prepare scripts share: arguments in, one schema of parquet out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tokenexit.data.bio import spans
from tokenexit.data.layout import split_of
from tokenexit.data.tagged import TaggedSplit, read_tagged
from tokenexit.errors import UserError
from tokenexit.files import replacing

Splits = dict[str, TaggedSplit]


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """What every prepare script takes."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path, help="folder for the parquet splits")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--input", nargs="+", metavar="PATH", help="your folder, or its files")
    source.add_argument("--hub", metavar="ID", help="a Hub data set")
    parser.add_argument("--name", help="configuration of the Hub data set")
    parser.add_argument("--revision", help="branch of the Hub data set: refs/convert/parquet, ...")
    return parser


def parse(description: str | None, argv: list[str] | None) -> argparse.Namespace:
    """Parse the arguments of a script that takes no others."""
    return parser_of(description).parse_args(argv)


def read(args: argparse.Namespace, column: str) -> Splits:
    """Read what ``--input`` or ``--hub`` names; entity tags become BIO."""
    if args.hub:
        return read_tagged(args.hub, column, args.name, args.revision, convert=True)
    if len(args.input) == 1 and Path(args.input[0]).is_dir():
        return read_tagged(args.input[0], column, convert=True)
    splits: Splits = {}
    for path in args.input:
        if not Path(path).is_file():
            raise UserError(f"{path} is not a file; --input takes one folder, or files.")
        split = split_of(Path(path))
        if split is None or split in splits:
            raise UserError(
                f"{path}: its name must say train, dev (or validation) or test, "
                "and only one file may say so."
            )
        splits[split] = read_tagged(path, column, convert=True)["all"]
    return splits


def write(splits: Splits, column: str, output: Path) -> None:
    """Write each split as ``tokens`` and ``column``, both lists of strings."""
    kind = pa.list_(pa.string())
    for name, split in splits.items():
        table = pa.table(
            {"tokens": pa.array(split.tokens, kind), column: pa.array(split.tags, kind)}
        )
        with replacing(output / f"{name}.parquet") as partial:
            pq.write_table(table, partial, compression="zstd")
        line = f"{name}: {len(split)} sentences, {split.num_words} words"
        if column == "ner_tags":
            line += f", {sum(len(spans(tags)) for tags in split.tags or ())} entities"
        print(line)


def main(
    description: str | None,
    column: str,
    argv: list[str] | None = None,
    reader: Callable[[argparse.Namespace, str], Splits] = read,
) -> int:
    """Run one prepare script.

    Args:
        description: Help text.
        column: Column to read and write.
        argv: Arguments; those of the command line by default.
        reader: How to read, where the format is the corpus's own.

    Returns:
        The exit code: 2 on a user's mistake.
    """
    args = parse(description, argv)
    return attempt(lambda: write(reader(args, column), column, args.output))


def attempt(work: Callable[[], None]) -> int:
    """Do it; the exit code is 2 on a user's mistake, which is told."""
    try:
        work()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
