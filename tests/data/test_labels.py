"""What is a label, a word or a number to learn, and what is none."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tokenexit.data.tagged import read_tagged
from tokenexit.data.texts import read_texts
from tokenexit.errors import UserError

datasets = pytest.importorskip("datasets")


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (["a", "b"], r"\['a', 'b'\] is no label: a text has one"),
        ([[0, 3, "PER"]], "nor spans with offsets"),
        ({"a": 1}, "is no label"),
        (True, "True is no label. Write labels as strings"),
        (1.0, "a number with a fraction"),
        (float("nan"), "a number with a fraction.*pandas"),
    ],
)
def test_what_is_none(tmp_path, label, message, rows):
    path = rows(tmp_path / "a.jsonl", {"text": "a", "label": "x"}, {"text": "b", "label": label})
    with pytest.raises(UserError, match=rf"a\.jsonl, row 1, column 'label': .*{message}"):
        read_texts(path)


def test_whole_numbers_are_labels_by_their_digits(tmp_path, rows):
    made = [{"text": "a", "label": value} for value in (1, "1", "01", 2**70)]
    tags = read_texts(rows(tmp_path / "a.jsonl", *made))["all"].tags
    assert tags == [["1"], ["1"], ["01"], [str(2**70)]]


@pytest.mark.parametrize("value", [10**400, [1.0], {"a": 1}, "1", float("inf"), True])
def test_what_cannot_be_learned(tmp_path, value, rows):
    path = rows(tmp_path / "a.jsonl", {"text": "a", "label": value})
    with pytest.raises(UserError, match=r"row 0, column 'label': .* is no number"):
        read_texts(path, regression=True)


@pytest.mark.parametrize("number", [2, 9])
def test_a_class_without_a_name(tmp_path, number):
    names = datasets.ClassLabel(names=["a", "b"])
    table = pa.table({"text": ["t"], "label": [number], "tokens": [["t"]], "ner": [[number]]})
    both = {"label": names, "ner": datasets.List(names)}
    info = {"info": {"features": datasets.Features(both).to_dict()}}
    table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(UserError, match=rf"row 0, .*{number} is no label: .* for 0 to 1"):
        read_texts(tmp_path / "a.parquet")
    with pytest.raises(UserError, match=rf"row 0, .*{number} among the tags, .* 0 to 1"):
        read_tagged(tmp_path / "a.parquet")


@pytest.mark.parametrize("tokens", [None, "a b", [1], ["a", None], [["a"]], {"a": 1}, 7])
def test_words_that_are_none(tmp_path, tokens, rows):
    path = rows(tmp_path / "a.jsonl", {"tokens": tokens, "ner_tags": ["O"]})
    with pytest.raises(UserError, match=r"a\.jsonl, row 0, column 'tokens'"):
        read_tagged(path)


def test_odd_words_are_words(tmp_path, rows):
    words = ["", " ", "a b", "a\nb", "\u200b", "\u00a0", "\0"]
    path = rows(tmp_path / "a.jsonl", {"tokens": words, "ner_tags": ["O"] * len(words)})
    assert read_tagged(path)["all"].tokens == [words]


@pytest.mark.parametrize("text", ["text", "data", "tokens"])
@pytest.mark.parametrize("name", ["entities", "spans", "annotations"])
def test_spans_with_offsets(tmp_path, text, name, rows):
    held = ["Ada", "ran"] if text == "tokens" else "Ada ran"
    path = rows(tmp_path / "a.jsonl", {text: held, name: [[0, 3, "PER"]]})
    with pytest.raises(UserError, match=r"offsets \(doccano, spaCy.*offsets_to_biluo_tags"):
        read_tagged(path)
