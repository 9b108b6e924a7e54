"""Any stretch of rows, from files of every kind, with little held and nothing read twice."""

from __future__ import annotations

import gzip
import io
import json
import random
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tokenexit.data.corpus import Corpus, Reader, find_files, opening, scan
from tokenexit.data.corpus import corpus as module
from tokenexit.errors import UserError

ROWS = [{"id": n, "text": f"text {n} é" * (n % 3), "tokens": ["a"] * (n % 4)} for n in range(50)]
KINDS = ("parquet", "parquet in one group", "json", "json.gz", "text", "text.gz")


def write(folder: Path, kind: str, rows: list[dict[str, Any]], name: str) -> None:
    folder.mkdir(exist_ok=True)
    if kind.startswith("parquet"):
        size = 1000 if kind.endswith("group") else 3
        schema = pa.schema(
            [("id", pa.int64()), ("text", pa.string()), ("tokens", pa.list_(pa.string()))]
        )
        table = pa.Table.from_pylist(rows, schema)
        pq.write_table(table, folder / f"{name}.parquet", row_group_size=size)
        return
    if kind.startswith("json"):
        content = "".join(json.dumps(row) + "\n\n" for row in rows)  # with empty lines between
        ending = "jsonl"
    else:
        content = "\r\n".join(row["text"] for row in rows)
        ending = "txt"
    data = content.encode()
    if kind.endswith(".gz"):
        data, ending = gzip.compress(data), f"{ending}.gz"
    (folder / f"{name}.{ending}").write_bytes(data)


def corpus_of(source: Path, every: int = 4) -> Corpus:
    found = find_files(str(source))
    return Corpus(found.format, tuple(scan(path, found.format, every) for path in found.paths))


def wanted(kind: str) -> list[dict[str, Any]]:
    return [{"text": row["text"]} for row in ROWS] if kind.startswith("text") else ROWS


@pytest.mark.parametrize("kind", KINDS)
def test_every_stretch_is_what_was_written(kind, tmp_path):
    """Over the borders of files, row groups and marks; forwards, backwards and from elsewhere."""
    for name, (start, stop) in {"a": (0, 17), "b": (17, 17), "c": (17, 50)}.items():
        if stop > start or not kind.startswith("text"):  # no text has no rows: one of an empty line
            write(tmp_path / "corpus", kind, ROWS[start:stop], name)
    corpus = corpus_of(tmp_path / "corpus")
    assert corpus.rows == 50
    names = corpus.files[0].columns
    one = Reader(corpus, names)
    for start, stop in [(0, 9), (9, 20), (25, 31), (3, 5), (16, 18), (0, 50), (49, 50), (50, 50)]:
        found = list(one.read(start, stop))
        assert [row for row, _ in found] == list(range(start, stop))
        assert [values for _, values in found] == wanted(kind)[start:stop]


def test_only_the_columns_that_are_asked_for(tmp_path):
    write(tmp_path / "corpus", "parquet", ROWS, "a")
    found = [values for _, values in Reader(corpus_of(tmp_path / "corpus"), ["id"]).read(0, 50)]
    assert found == [{"id": n} for n in range(50)]


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a\n\nb", ["a", "", "b"]),
        (b"\xef\xbb\xbfa\r\nb\r\n", ["a", "b"]),
        ("a\x0cb\u2028c\n\x85".encode(), ["a\x0cb\u2028c", "\x85"]),
    ],
)
def test_lines_are_those_of_a_file_that_is_no_corpus(content, rows, tmp_path):
    from tokenexit.cli.lines import Lines

    file = tmp_path / "a.txt"
    file.write_bytes(content)
    corpus = corpus_of(file)
    assert [values["text"] for _, values in Reader(corpus, ()).read(0, corpus.rows)] == rows
    assert [line for block in Lines(str(file)).blocks(9) for line in block] == rows


@pytest.mark.parametrize("kind", ["parquet", "json", "text"])
def test_going_forwards_opens_a_file_once(kind, tmp_path, monkeypatch):
    write(tmp_path / "corpus", kind, ROWS, "a")
    corpus = corpus_of(tmp_path / "corpus", every=100)
    opened = []

    def counting(path: str) -> Any:
        opened.append(path)
        return opening.open_file(path)

    monkeypatch.setattr(module, "open_file", counting)
    monkeypatch.setattr("tokenexit.data.corpus.parquet.open_file", counting)
    reader = Reader(corpus, ["text"])
    rows = [row for start in range(0, 48, 8) for row, _ in reader.read(start, start + 4)]
    assert len(rows) == 24
    # Every second block, as one of two processes reads: row groups that are stepped over are not
    # read; within what is open nothing is opened again.
    assert len(opened) == (6 if kind == "parquet" else 1)


def test_what_is_held_does_not_grow_with_the_corpus(tmp_path):
    """Of a parquet row group that holds everything, and of lines."""

    def held(kind: str, count: int) -> int:
        folder = tmp_path / f"{kind}{count}"
        rows = [{"id": n, "text": "x" * 500, "tokens": []} for n in range(count)]
        write(folder, kind, rows, "a")
        corpus = corpus_of(folder, every=100)
        pool = pa.default_memory_pool()
        before, most = pool.bytes_allocated(), 0
        tracemalloc.start()
        for _ in Reader(corpus, ["text"]).read(0, corpus.rows):
            most = max(most, pool.bytes_allocated() - before)
        most += tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    for kind in ("parquet in one group", "json", "text"):
        held(kind, 10)  # what is imported and kept for good
        small, large = held(kind, 2000), held(kind, 16000)
        assert large < small + 2**20, kind  # the corpus is eight megabytes
        assert 4 * large < 16000 * 500


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.jsonl", b'{"text": "a"}\n{"text": \n', r"a\.jsonl, row 1: not valid JSON"),
        ("a.jsonl", b'{"text": "a"}\n[1]\n', "row 1 is list, expected an object"),
        ("a.jsonl", b'[{"text": "a"}]', "one list of JSON.*jq"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "\xff"}\n', "row 1: not UTF-8"),
        ("a.txt", b"fine\nnot \xff\n", "row 1: not UTF-8"),
        ("a.parquet", b"PAR1 and nothing else", "cannot be read as parquet"),
        ("a.txt.gz", b"no gzip", "cannot be unpacked"),
        ("a.txt.gz", gzip.compress(b"line\n" * 99, mtime=0)[:-9], "cannot be unpacked"),
    ],
)
def test_damaged_files_are_named(name, content, told, tmp_path):
    (tmp_path / name).write_bytes(content)

    def read() -> None:
        corpus = corpus_of(tmp_path / name)
        list(Reader(corpus, ["text"]).read(0, corpus.rows))

    with pytest.raises(UserError, match=told):
        read()


def test_a_file_that_is_shorter_than_it_was(tmp_path):
    write(tmp_path / "corpus", "text", ROWS, "a")
    corpus = corpus_of(tmp_path / "corpus")
    write(tmp_path / "corpus", "text", ROWS[:20], "a")
    with pytest.raises(UserError, match="has 20 rows and had 50: it was changed"):
        list(Reader(corpus, ["text"]).read(0, 50))
    (tmp_path / "corpus" / "a.txt").unlink()
    with pytest.raises(UserError, match=r"a\.txt cannot be read: No such file"):
        list(Reader(corpus, ["text"]).read(0, 50))


def test_files_of_the_hub_are_read_where_they_are(tmp_path, monkeypatch):
    """Through its file system, of which no more is known here than that it opens files."""
    texts = [random.Random(n).randbytes(999).hex() for n in range(999)]
    table = pa.table({"id": range(999), "text": texts})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=100)
    content, reads = (tmp_path / "a.parquet").read_bytes(), []

    class Remote(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            found = super().read(size)
            reads.append(len(found))
            return found

    class System:
        def open(self, path: str, mode: str) -> io.BytesIO:
            assert (path, mode) == ("hf://datasets/some/thing@abc/a.parquet", "rb")
            return Remote(content)

    monkeypatch.setattr("huggingface_hub.HfFileSystem", System)
    index = scan("hf://datasets/some/thing@abc/a.parquet", "parquet", 1)
    assert (index.rows, index.stamp) == (999, {})
    found = [values for _, values in Reader(Corpus("parquet", (index,)), ["id"]).read(440, 444)]
    assert found == [{"id": n} for n in range(440, 444)]
    assert sum(reads) < len(content) / 4  # what stands at the end of the file, and four rows


def test_an_index_is_plain_data(tmp_path):
    write(tmp_path, "json", ROWS, "a")
    index = scan(str(tmp_path / "a.jsonl"), "json", 10)
    assert len(index.marks) == 5
    assert type(index).from_json(json.loads(json.dumps(index.to_json()))) == index
