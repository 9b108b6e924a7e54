"""Label sentences by the types of entities that they mention, for the task ``multilabel``.

    python label_sentences.py OUTPUT --input FOLDER       # of files with entity tags: CoNLL, ...
    python label_sentences.py OUTPUT --hub ID

Every split becomes parquet with ``sentence`` (the words with spaces between them) and ``labels``,
a list of types, empty where nothing is mentioned.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from _common import attempt, parse, read

from tokenexit.data.bio import entity_types
from tokenexit.data.tagged import TaggedSplit
from tokenexit.files import replacing


def labelled(split: TaggedSplit) -> pa.Table:
    """The sentences of a split that have words, with the types that they mention."""
    rows = [
        {"sentence": " ".join(words), "labels": list(entity_types(tags))}
        for words, tags in zip(split.tokens, split.tags or [], strict=True)
        if words
    ]
    return pa.Table.from_pylist(
        rows, pa.schema({"sentence": pa.string(), "labels": pa.list_(pa.string())})
    )


def write(splits: dict[str, TaggedSplit], output: Path) -> None:
    """Write each split, and say how many sentences have how many labels."""
    for name, split in splits.items():
        table = labelled(split)
        with replacing(output / f"{name}.parquet") as partial:
            pq.write_table(table, partial, compression="zstd")
        counts = [len(labels) for labels in table["labels"].to_pylist()]
        several, none = sum(count > 1 for count in counts), counts.count(0)
        print(f"{name}: {len(counts)} sentences, {none} without a label, {several} with several")


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; the exit code is 2 on a user's mistake."""
    args = parse(__doc__, argv)
    return attempt(lambda: write(read(args, "ner_tags"), args.output))


if __name__ == "__main__":
    sys.exit(main())
