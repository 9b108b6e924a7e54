"""Labelled texts out of files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tokenexit.data.texts import UNLABELLED, ScoredSplit, read_texts
from tokenexit.errors import UserError
from tokenexit.tasks.scoring.gold import class_numbers

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
        ({"sentence": 7, "label": "x"}, "row 0, column 'sentence': expected text, not int '7'"),
        ({"sentence": "a", "label": 0.5}, "a number with a fraction"),
        ({"sentence": "a", "label": -1}, "never published"),
        ({"sentence": "a", "label": True}, "is no label"),
        ({"sentence": "a", "label": 0.5}, r"To learn the number itself say regression=true"),
    ],
)
def test_rows_that_are_none(write, row, message):
    with pytest.raises(UserError, match=message):
        read_texts(write(row))


def test_a_training_text_may_have_no_label(write):
    rows = [("a", "x"), ("b", None), ("c", ""), ("d", "y")]
    train = read_texts(write(*({"sentence": s, "label": v} for s, v in rows)))["train"]
    assert train.tags == [["x"], [UNLABELLED], [UNLABELLED], ["y"]]
    assert train.labelled().tokens == [["a"], ["d"]]
    assert train.labelled(False).tokens == [["b"], ["c"]]
    assert class_numbers(train, ("x", "y")) == [[0], [-100], [-100], [1]]


def test_whole_numbers_survive_a_missing_one(tmp_path):
    (tmp_path / "train.csv").write_text("sentence,label\na,3\nb,\n", encoding="utf-8")
    assert read_texts(tmp_path)["train"].tags == [["3"], [UNLABELLED]]


@pytest.mark.parametrize(("missing", "regression"), [(None, False), ("", False), (None, True)])
def test_other_splits_need_every_label(tmp_path, missing, regression):
    label = 1.5 if regression else "x"
    rows = [{"sentence": "a", "label": label}, {"sentence": "b", "label": missing}]
    for name in ("train", "validation"):
        lines = "\n".join(map(json.dumps, rows if name == "validation" else rows[:1]))
        (tmp_path / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    where = r"\[validation\], row 1, column 'label': .* is no label"
    with pytest.raises(UserError, match=where):
        read_texts(tmp_path, regression=regression)


def test_a_lone_file_is_asked_for_labels_unless_it_is_to_train_on(tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_text('{"sentence": "a", "label": null}', encoding="utf-8")
    with pytest.raises(UserError, match="row 0, column 'label': None is no label"):
        read_texts(path)
    assert read_texts(path, unlabelled=True)["all"].tags == [[UNLABELLED]]


def test_numbers_to_learn(write):
    rows = [{"sentence": "a", "label": 2}, {"sentence": "b", "label": -0.25}]
    train = read_texts(write(*rows), regression=True)["train"]
    assert isinstance(train, ScoredSplit)
    assert train.values == [[2.0], [-0.25]]
    assert class_numbers(train.take([1]), ("value",)) == [[-0.25]]
    bare = read_texts(write({"sentence": "a", "label": None}), regression=True)["train"]
    assert math.isnan(bare.values[0][0])  # type: ignore[attr-defined]
    assert not isinstance(
        read_texts(write(*rows), regression=True, label_column=None)["train"], ScoredSplit
    )


@pytest.mark.parametrize("value", ["good", "1.5", True])
def test_what_is_no_number(write, value):
    with pytest.raises(UserError, match=r"row 0, column 'label': .* is no number"):
        read_texts(write({"sentence": "a", "label": value}), regression=True)


def test_a_missing_second_sentence(write):
    rows = [{"sentence": "a", "sentence2": "b", "label": "x"}, {"sentence": "c", "label": "y"}]
    with pytest.raises(UserError, match=r"row 1, column 'sentence2'.*every row needs both"):
        read_texts(write(*rows))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared corpora are not here")
def test_real_corpora():
    banking = read_texts(SHARED / "banking77")
    assert len(banking["test"]) == 3080
    assert len(read_texts(SHARED / "snli_cad")["train"].tokens[0]) == 2
