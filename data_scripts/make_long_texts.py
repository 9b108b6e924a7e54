"""Make a classification task of long texts: windows of documents, each with the class of its own.

    python make_long_texts.py OUTPUT --input FOLDER --source openstax

The input is parquet with ``text`` and ``doc`` (passages of a document one after another) and, for
``--source`` and ``--label source``, ``source``. The class is what stands before the first slash of
``doc``, a book of a field or an author, or the source. Windows of a document do not overlap. All
windows of a document are in one split, and so are documents that share a sentence; what stands in
many documents is left out. Every split becomes parquet with ``sentence``, ``label`` and ``doc``.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tokenexit.errors import UserError
from tokenexit.files import replacing

SHARED = 8
"""Words of a sentence that two documents do not have by chance."""

COMMON = 4
"""A sentence in more documents than this is none of their own, and is left out."""

SPLITS = {"train": 0.5, "validation": 0.2, "test": 0.3}


class Document(NamedTuple):
    """One document.

    Attributes:
        name: As ``doc`` says.
        label: Its class.
        sentences: Its text.
    """

    name: str
    label: str
    sentences: tuple[str, ...]


def documents(rows: Iterable[dict[str, str]], label: str) -> list[Document]:
    """Documents with what is their own, in order of their names."""
    passages: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        name = row["doc"]
        known = row["source"] if label == "source" else name.partition("/")[0]
        passages[name, known].append(row["text"])
    found = [
        Document(name, known, tuple(_sentences(" ".join(texts))))
        for (name, known), texts in sorted(passages.items())
    ]
    within = Counter(key for one in found for key in {*map(_key, one.sentences)})
    return [
        Document(one.name, one.label, tuple(s for s in one.sentences if within[_key(s)] <= COMMON))
        for one in found
    ]


def _sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?])\s+", " ".join(text.split())) if part]


def _key(sentence: str) -> str:
    """What is compared: case, punctuation and spacing do not count."""
    return " ".join(re.findall(r"\w+", sentence.lower()))


def keys_of(sentences: Iterable[str]) -> set[str]:
    """Sentences that are long enough to tell where they are from."""
    return {key for key in map(_key, sentences) if key.count(" ") >= SHARED - 1}


def together(found: Sequence[Document]) -> list[list[Document]]:
    """Documents that share a sentence in one group each, in order of their first."""
    first: dict[str, int] = {}
    root = list(range(len(found)))

    def top(place: int) -> int:
        while root[place] != place:
            root[place] = place = root[root[place]]
        return place

    for place, one in enumerate(found):
        for key in keys_of(one.sentences):
            root[top(place)] = top(first.setdefault(key, place))
    groups: dict[int, list[Document]] = defaultdict(list)
    for place, one in enumerate(found):
        groups[top(place)].append(one)
    return list(groups.values())


def windows(one: Document, words: int, most: int) -> list[str]:
    """Stretches of whole sentences, each of so many words or a sentence more."""
    found, held = [], list[str]()
    for sentence in one.sentences:
        held += sentence.split()
        if len(held) >= words:
            found.append(" ".join(held[: 2 * words]))
            held = []
    return found[:most]


def deal(groups: list[list[Document]], args: argparse.Namespace) -> dict[str, list[dict[str, str]]]:
    """Groups to splits, class by class, until each has its share of windows."""
    draw = random.Random(args.seed)
    draw.shuffle(groups)
    splits: dict[str, list[dict[str, str]]] = {name: [] for name in SPLITS}
    counts: Counter[tuple[str, str]] = Counter()
    for group in groups:
        rows = [
            {"sentence": text, "label": one.label, "doc": one.name}
            for one in group
            for text in windows(one, args.words, args.of_document)
        ]
        if not rows or len({row["label"] for row in rows}) > 1:
            continue  # its class is not clear
        label = rows[0]["label"]
        name = min(SPLITS, key=lambda name: counts[name, label] / SPLITS[name])
        room = round(args.windows * SPLITS[name]) - counts[name, label]
        splits[name] += rows[: max(room, 0)]
        counts[name, label] += len(rows)
    few = args.windows * SPLITS["test"] / 2
    there = Counter(row["label"] for row in splits["test"])
    enough = sorted(label for label, count in there.items() if count >= few)
    known = set(draw.sample(enough, min(args.classes or len(enough), len(enough))))
    return {
        name: draw.sample(kept, len(kept))
        for name, rows in splits.items()
        for kept in [[row for row in rows if row["label"] in known]]
    }


def check_leaks(splits: dict[str, list[dict[str, str]]]) -> None:
    """Refuse windows of one document, or with one sentence, in two splits.

    Raises:
        UserError: Says what is in both.
    """
    seen: dict[str, str] = {}
    for name, rows in splits.items():
        for row in rows:
            said = sorted(keys_of(_sentences(row["sentence"])))
            for key in [f"the document {row['doc']}", *said]:
                if seen.setdefault(key, name) != name:
                    raise UserError(f"{seen[key]} and {name} share {key!r}.")


def make(rows: Iterable[dict[str, str]], args: argparse.Namespace) -> dict[str, list[dict]]:
    """The splits.

    Raises:
        UserError: Too little text for two classes.
    """
    splits = deal(together(documents(rows, args.label)), args)
    if len({row["label"] for row in splits["test"]}) < 2:
        raise UserError(
            f"There are fewer than two classes with {args.windows} windows of {args.words} words; "
            "ask for fewer or shorter ones, or for another --label."
        )
    check_leaks(splits)
    return splits


def read(path: Path, source: str | None) -> list[dict[str, str]]:
    """Passages of all files of a folder, or of one.

    Raises:
        UserError: There is none, or it has other columns.
    """
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files or not all(one.is_file() for one in files):
        raise UserError(f"{path} is no parquet file and no folder of such.")
    rows: list[dict[str, str]] = []
    for one in files:
        table = pq.read_table(one)
        missing = {"text", "doc"} - {*table.column_names}
        if missing or (source is not None and "source" not in table.column_names):
            raise UserError(f"{one} needs the columns text, doc and source.")
        rows += table.to_pylist()
    return [row for row in rows if source is None or row["source"] == source]


def parsed(argv: list[str] | None) -> argparse.Namespace:
    """The arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path, help="folder for the parquet splits")
    parser.add_argument("--input", type=Path, required=True, help="parquet file, or a folder")
    parser.add_argument("--source", help="passages of this source alone")
    parser.add_argument("--label", choices=("doc", "source"), default="doc")
    parser.add_argument("--words", type=int, default=200, help="of a window; 200 by default")
    parser.add_argument("--windows", type=int, default=120, help="of a class at most, all splits")
    parser.add_argument("--classes", type=int, help="so many, drawn at random; all by default")
    parser.add_argument("--of-document", type=int, default=4, help="windows of a document at most")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    for name in ("words", "windows", "of_document", "classes"):
        if (number := getattr(args, name)) is not None and number < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    return args


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; the exit code is 2 on a user's mistake."""
    args = parsed(argv)
    try:
        splits = make(read(args.input, args.source), args)
        for name, rows in splits.items():
            with replacing(args.output / f"{name}.parquet") as partial:
                pq.write_table(pa.Table.from_pylist(rows), partial, compression="zstd")
            sizes = Counter(row["label"] for row in rows)
            words = sum(len(row["sentence"].split()) for row in rows) / max(len(rows), 1)
            print(f"{name}: {len(rows)} windows of {words:.0f} words, {len(sizes)} classes")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
