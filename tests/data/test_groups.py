"""Documents of texts: read from a column, kept with the texts, refused where they are not there."""

from __future__ import annotations

import json

import pytest

from tokenexit.calibration.dealing import documents_of
from tokenexit.data.groups import with_groups
from tokenexit.data.pairs import read_pairs
from tokenexit.data.tagged import read_tagged, with_validation
from tokenexit.data.texts import read_texts
from tokenexit.errors import UserError

ROWS = [{"text": f"text {n}", "label": str(n % 2), "doc": n // 3} for n in range(12)]


def write(path, rows):
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def test_texts_keep_their_documents(tmp_path):
    source = write(tmp_path / "train.jsonl", ROWS)
    found = with_groups(read_texts(source), source, "doc")["all"]
    assert found.groups == [str(n // 3) for n in range(12)]
    assert found.take([1, 11]).groups == ["0", "3"]
    assert list(documents_of(found.take([11, 1, 2]))) == [1, 0, 0]
    held = with_validation({"all": found}, seed=0)["validation"]
    assert held.groups == [str(int(text.split()[1]) // 3) for [text] in held.tokens]
    assert documents_of(read_texts(source)["all"]) is None


def test_words_and_pairs_too(tmp_path):
    words = [{"tokens": ["a", "b"], "ner_tags": ["O", "O"], "doc": name} for name in "xxy"]
    source = write(tmp_path / "words.jsonl", words)
    assert with_groups(read_tagged(source), source, "doc")["all"].groups == ["x", "x", "y"]
    pairs = [{"source": "a", "target": "b", "doc": name} for name in "xyy"]
    source = write(tmp_path / "pairs.jsonl", pairs)
    found = with_groups(read_pairs(source), source, "doc")["all"]
    assert found.take([2, 0]).groups == ["y", "x"]


def test_what_is_missing_is_told(tmp_path):
    source = write(tmp_path / "a.jsonl", ROWS)
    splits = read_texts(source)
    with pytest.raises(UserError, match="has no column 'document' of documents; it has: text"):
        with_groups(splits, source, "document")
    bare = write(tmp_path / "b.jsonl", [*ROWS[:2], {**ROWS[2], "doc": None}])
    with pytest.raises(UserError, match="row 2, column 'doc': no document"):
        with_groups(read_texts(bare), bare, "doc")
    fewer = {"all": splits["all"].take([0])}
    with pytest.raises(UserError, match="has 12 rows and 1 texts"):
        with_groups(fewer, source, "doc")
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder / "train.jsonl", [{k: v for k, v in row.items() if k != "doc"} for row in ROWS])
    write(folder / "test.jsonl", ROWS)
    found = with_groups(read_texts(folder), folder, "doc")
    assert (found["train"].groups, found["test"].groups[0]) == (None, "0")
