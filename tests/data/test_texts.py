"""Labelled texts out of files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tokenexit.data.texts import read_texts
from tokenexit.errors import UserError

pytest.importorskip("datasets")
SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def rows(*values: dict[str, Any]) -> str:
        lines = "\n".join(json.dumps(value) for value in values)
        (tmp_path / "train.jsonl").write_text(lines, encoding="utf-8")
        return str(tmp_path)

    return rows


def test_texts_and_pairs(write):
    single = read_texts(write({"sentence": "a b", "label": "x"}, {"sentence": "", "label": "y"}))
    assert single["train"].tokens == [["a b"], [""]]
    assert single["train"].tags == [["x"], ["y"]]
    assert single["train"].num_words == 2
    pairs = read_texts(write({"premise": "a", "hypothesis": "b", "label": 3}))
    assert pairs["train"].tokens == [["a", "b"]]
    assert pairs["train"].tags == [["3"]]
    assert pairs["train"].words == ["a | b"]


def test_columns_of_other_names(write):
    source = write({"utterance": "a", "other": "b", "what": "x"})
    named = {"column": "utterance", "pair_column": "other", "label_column": "what"}
    assert read_texts(source, **named)["train"].tokens == [["a", "b"]]
    assert read_texts(source, column="utterance", label_column=None)["train"].tags is None


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"words": "a", "label": "x"}, "no column for the texts"),
        ({"sentence": "a"}, "no column for the labels"),
        ({"sentence": 7, "label": "x"}, "row 0, column 'sentence': 7 is no text"),
        ({"sentence": "a", "label": 0.5}, "a number with a fraction"),
        ({"sentence": "a", "label": -1}, "never published"),
        ({"sentence": "a", "label": None}, "is no label"),
    ],
)
def test_rows_that_are_none(write, row, message):
    with pytest.raises(UserError, match=message):
        read_texts(write(row))


def test_a_missing_second_sentence(write):
    rows = [{"sentence": "a", "sentence2": "b", "label": "x"}, {"sentence": "c", "label": "y"}]
    with pytest.raises(UserError, match=r"row 1, column 'sentence2'.*every row needs both"):
        read_texts(write(*rows))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared corpora are not here")
def test_real_corpora():
    banking = read_texts(SHARED / "banking77")
    assert len(banking["test"]) == 3080
    assert len(read_texts(SHARED / "snli_cad")["train"].tokens[0]) == 2
