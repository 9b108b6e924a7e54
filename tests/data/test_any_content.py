"""Whatever a file holds: what was written is read, and damage ends in a result or a UserError."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenexit.data.characters import whole_characters
from tokenexit.data.conll import read_conll, read_conllu
from tokenexit.data.files import FORMATS, read_file
from tokenexit.data.pairs import read_pairs
from tokenexit.data.tagged import read_tagged
from tokenexit.data.texts import read_texts
from tokenexit.errors import UserError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
# What a cell of a file without quoting can hold.
CELL = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r\ufeff"), max_size=8
)
WORD = st.one_of(
    st.sampled_from(["#", "#tag", "##", "# a", "\u200b", "\u00a0", "_", "-", "1-2", "1.1", "NA"]),
    CELL.filter(lambda word: word.strip(" ") and word != "-DOCSTART-"),
)
TAG = st.sampled_from(["O", "B-PER", "I-PER", "B-geo-loc", "I-\u540d"])
SENTENCE = st.lists(st.tuples(WORD, TAG), min_size=1, max_size=4)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
COLUMNS = ("tokens", "ner_tags", "text", "label", "source", "target", "references", "translation")
few = settings(max_examples=50, deadline=None)


@pytest.fixture(scope="module")
def put(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, bytes | str], Path]:
    folder = tmp_path_factory.mktemp("any")

    def write(name: str, content: bytes | str) -> Path:
        path = folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5), st.booleans(), st.booleans())
@few
def test_csv(put, rows, mark, packed):
    file = io.StringIO(newline="")
    csv.writer(file).writerows([("text", "label"), *rows])
    content = ("\ufeff" * mark + file.getvalue()).encode()
    path = put("a.csv.gz", gzip.compress(content)) if packed else put("a.csv", content)
    table = read_file(path)
    assert list(zip(table.column("text"), table.column("label"), strict=True)) == rows


@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=5), st.sampled_from(["\n", "\r\n"]))
@few
def test_tsv(put, rows, end):
    content = end.join("\t".join(row) for row in [("text", "label"), *rows])
    table = read_file(put("a.tsv", content + end))
    assert table.to_list() == [{"text": text, "label": label} for text, label in rows]


@given(
    st.lists(st.fixed_dictionaries({"text": st.text(st.characters()), "x": ANY}), min_size=1),
    st.booleans(),
    st.sampled_from(["json", "jsonl"]),
)
@few
def test_json(put, rows, ascii_only, kind):
    if not ascii_only:
        rows = [{"text": whole_characters(row["text"])} for row in rows]
    lines = [json.dumps(row, ensure_ascii=ascii_only) for row in rows]
    content = "\n".join(lines) if kind == "jsonl" else f"[{','.join(lines)}]"
    table = read_file(put(f"a.{kind}", content))
    assert table.column("text") == [whole_characters(row["text"]) for row in rows]


@given(st.lists(st.tuples(TEXT, st.lists(TEXT, max_size=3)), min_size=1, max_size=5))
@few
def test_parquet_and_arrow(put, rows):
    made = pa.table({"text": [text for text, _ in rows], "tokens": [words for _, words in rows]})
    expected = [{"text": text, "tokens": words} for text, words in rows]
    sink = pa.BufferOutputStream()
    pq.write_table(made, sink)
    assert read_file(put("a.parquet", sink.getvalue().to_pybytes())).to_list() == expected
    for writer in (pa.ipc.new_file, pa.ipc.new_stream):
        sink = pa.BufferOutputStream()
        with writer(sink, made.schema) as file:
            file.write_table(made)
        assert read_file(put("a.arrow", sink.getvalue().to_pybytes())).to_list() == expected


@given(st.lists(SENTENCE, min_size=1, max_size=4), st.sampled_from(["\n", "\r\n"]), st.booleans())
@few
def test_conll(put, sentences, end, comments):
    lines = []
    for number, sentence in enumerate(sentences):
        lines += [f"# id = {number}", "# text = of\ttabs and\tblanks", "# and more"] * comments
        lines += [f"{word}\t{tag}" for word, tag in sentence] + [""]
    found = read_conll(put("a.bio", end.join(lines)))
    assert found["tokens"] == [[word for word, _ in sentence] for sentence in sentences]
    assert found["tags"] == [[tag for _, tag in sentence] for sentence in sentences]


@given(st.lists(SENTENCE, min_size=1, max_size=4), st.booleans())
@few
def test_conllu(put, sentences, last):
    lines = []
    for sentence in sentences:
        lines += ["# text = a", "1-2\tboth" + "\t_" * 8]
        for number, (word, tag) in enumerate(sentence, 1):
            lines += [f"{number}\t{word}\t_\t{tag}" + "\t_" * 6, f"{number}.1\tx" + "\t_" * 8]
        lines += [""]
    found = read_conllu(put("a.conllu", "\n".join(lines) + "\n" * last))
    assert found["tokens"] == [[word for word, _ in sentence] for sentence in sentences]
    assert found["pos_tags"] == [[tag for _, tag in sentence] for sentence in sentences]


LABEL = TEXT.filter(bool)


@given(st.lists(st.tuples(TEXT, LABEL), min_size=1, max_size=4))
@few
def test_texts_are_the_same_in_every_format(put, rows):
    file = io.StringIO(newline="")
    csv.writer(file).writerows([("text", "label"), *rows])
    made = [{"text": text, "label": label} for text, label in rows]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(made), sink)
    for path in (
        put("t.csv", file.getvalue()),
        put("t.json", json.dumps(made)),
        put("t.parquet", sink.getvalue().to_pybytes()),
    ):
        split = read_texts(path)["all"]
        assert split.tokens == [[text] for text, _ in rows]
        assert split.tags == [[label] for _, label in rows]


@given(st.lists(st.tuples(TEXT, LABEL.filter(str.strip), ANY), min_size=1, max_size=4))
@few
def test_pairs(put, rows):
    lines = [json.dumps({"source": s, "target": t, "x": any_}) for s, t, any_ in rows]
    split = read_pairs(put("p.jsonl", "\n".join(lines)))["all"]
    assert split.sources == [source for source, _, _ in rows]
    assert split.targets == [target for _, target, _ in rows]


@given(st.lists(st.tuples(st.lists(st.tuples(TEXT, TAG), max_size=4), ANY), min_size=1))
@few
def test_tagged(put, rows):
    lines = [
        json.dumps({"id": any_, "tokens": [w for w, _ in row], "ner_tags": [t for _, t in row]})
        for row, any_ in rows
    ]
    split = read_tagged(put("n.jsonl", "\n".join(lines)), convert=True)["all"]
    assert split.tokens == [[word for word, _ in row] for row, _ in rows]


ROW = st.fixed_dictionaries(dict.fromkeys(COLUMNS, ANY))


@given(st.lists(ROW, min_size=1, max_size=3), st.booleans())
@settings(max_examples=100, deadline=None)
def test_values_of_any_kind_are_read_or_refused(put, rows, regression):
    path = put("v.jsonl", "\n".join(map(json.dumps, rows)))
    for read in readers(regression):
        attempt(read, path)


def seeds() -> dict[str, bytes]:
    rows = [{"text": "Zürich 😀", "label": "a", "source": "x", "target": "y",
             "tokens": ["Zürich", "#1"], "ner_tags": ["B-LOC", "O"]}] * 3  # fmt: skip
    sink, stream = pa.BufferOutputStream(), pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    with pa.ipc.new_stream(stream, pa.Table.from_pylist(rows).schema) as file:
        file.write_table(pa.Table.from_pylist(rows))
    lines = "\n".join(json.dumps(row) for row in rows).encode()
    return {
        "a.parquet": sink.getvalue().to_pybytes(),
        "a.arrow": stream.getvalue().to_pybytes(),
        "a.jsonl": lines,
        "a.jsonl.gz": gzip.compress(lines),
        "a.json": json.dumps(rows, ensure_ascii=False).encode(),
        "a.csv": 'text,label,source,target\n"a ""b"", c",x,y,z\nü,"1\n2",,\n'.encode(),
        "a.tsv": "text\tlabel\tsource\ttarget\nZürich\tx\ty\tz\n".encode(),
        "a.conll": "# id = 1\nZürich NNP B-LOC\n#1 CD O\n\n-DOCSTART- O\n\na B I-LOC\n".encode(),
        "a.conllu": ("# id = 1\n1\tZürich\t_\tPROPN" + "\t_" * 6 + "\n").encode(),
    }


def readers(regression: bool) -> list[Callable[[Path], Any]]:
    return [
        read_tagged,
        lambda path: read_tagged(path, "pos_tags"),
        lambda path: read_texts(path, regression=regression),
        lambda path: read_pairs(path),
        lambda path: read_pairs(path, lang="en-de"),
    ]


def attempt(read: Callable[[Path], Any], path: Path) -> None:
    try:
        read(path)
    except UserError as error:
        message = str(error)
        assert path.name in message
        assert len(message) < 2000
        message.encode()


@given(st.sampled_from(sorted(seeds())), st.data())
@settings(max_examples=200, deadline=None)
def test_damaged_files_are_read_or_refused(put, name, data):
    content = bytearray(seeds()[name])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, max(len(content) - 1, 0)))
        match data.draw(st.sampled_from(["flip", "cut", "drop", "insert"])):
            case "flip" if content:
                content[place] = data.draw(st.integers(0, 255))
            case "cut":
                del content[place:]
            case "drop":
                del content[place : place + data.draw(st.integers(1, 9))]
            case _:
                content[place:place] = data.draw(st.binary(max_size=4))
    path = put(name, bytes(content))
    for read in readers(regression=data.draw(st.booleans())):
        attempt(read, path)


@given(st.sampled_from(sorted(FORMATS)), st.binary(max_size=60))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_read_or_refused(put, suffix, content):
    path = put(f"a{suffix}", content)
    for read in readers(regression=False):
        attempt(read, path)
