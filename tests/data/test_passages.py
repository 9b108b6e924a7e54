"""Running text from tables and plain files."""

from __future__ import annotations

import json

import pytest

from tokenexit.data.passages import read_passages
from tokenexit.errors import UserError


def test_paragraphs_of_plain_files(tmp_path):
    (tmp_path / "one.txt").write_text("A first\nparagraph.\n\n \nA second.\r\n\r\nA third.\n")
    (tmp_path / "valid.txt").write_text("Held out.")
    wanted = ["A first paragraph.", "A second.", "A third."]
    assert read_passages(str(tmp_path)) == {"train": wanted, "validation": ["Held out."]}
    assert read_passages(str(tmp_path / "one.txt")) == {"train": wanted}


def test_columns_of_tables(tmp_path):
    file = tmp_path / "train.jsonl"
    rows = [{"text": "one", "n": 1}, {"text": " ", "n": 2}, {"text": "two", "n": 3}]
    file.write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "notes.txt").write_text("no part of the data")
    assert read_passages(str(tmp_path)) == {"train": ["one", "two"]}
    assert read_passages(str(file)) == {"train": ["one", "two"]}
    with pytest.raises(UserError, match="no column for the texts"):
        read_passages(str(tmp_path), column="words")


def test_nothing_to_read(tmp_path):
    (tmp_path / "train.txt").write_text("\n \n")
    with pytest.raises(UserError, match="holds no text"):
        read_passages(str(tmp_path))
    with pytest.raises(UserError, match="does not exist"):
        read_passages(str(tmp_path / "nowhere.txt"))
