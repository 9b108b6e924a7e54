"""Score sentences by how many of their words have some tags, for the task ``regression``.

    python score_sentences.py OUTPUT --input FOLDER --tags NOUN PROPN    # of files with POS tags
    python score_sentences.py OUTPUT --hub ID --tags NOUN PROPN

Every split becomes parquet with ``sentence`` (the words with spaces between them) and ``label``,
the share of its words with one of the tags, from 0 to 1.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from _common import attempt, parser_of, read

from tokenexit.data.tagged import TaggedSplit
from tokenexit.errors import UserError
from tokenexit.files import replacing


def scored(split: TaggedSplit, tags: Collection[str]) -> pa.Table:
    """The sentences of a split that have words, with the share of those that have such tags."""
    rows = [
        {"sentence": " ".join(words), "label": sum(tag in tags for tag in said) / len(words)}
        for words, said in zip(split.tokens, split.tags or [], strict=True)
        if words
    ]
    return pa.Table.from_pylist(rows, pa.schema({"sentence": pa.string(), "label": pa.float64()}))


def write(splits: dict[str, TaggedSplit], tags: Collection[str], output: Path) -> None:
    """Write each split, and say how far its scores spread.

    Raises:
        UserError: No word has such a tag.
    """
    there = {tag for split in splits.values() for said in split.tags or [] for tag in said}
    if unknown := sorted(set(tags) - there):
        raise UserError(f"No word has {', '.join(unknown)}; there are {', '.join(sorted(there))}.")
    for name, split in splits.items():
        table = scored(split, tags)
        with replacing(output / f"{name}.parquet") as partial:
            pq.write_table(table, partial, compression="zstd")
        scores = np.array(table["label"].to_pylist())
        print(f"{name}: {len(scores)} sentences, {scores.mean():.3f} +- {scores.std():.3f}")


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; the exit code is 2 on a user's mistake."""
    parser = parser_of(__doc__)
    parser.add_argument("--tags", nargs="+", required=True, help="words with these are counted")
    args = parser.parse_args(argv)
    return attempt(lambda: write(read(args, "pos_tags"), args.tags, args.output))


if __name__ == "__main__":
    sys.exit(main())
