"""Which column is read, and what a model is given of a row."""

from __future__ import annotations

from typing import Any

import pytest

from tokenexit.data.corpus import SOURCES, TEXTS, WORDS, Corpus, FileIndex, choose_columns
from tokenexit.data.corpus.columns import Columns
from tokenexit.errors import UserError

READS = {"tagger": WORDS, "classifier": TEXTS, "generator": SOURCES}


def corpus(*columns: str, path: str = "a.jsonl") -> Corpus:
    return Corpus("json", (FileIndex(path, 3, columns, ((0, 0),), {}),))


def chosen(kind: str, columns: str, told: dict[str, Any] | None = None, **remembered: Any) -> Any:
    found = choose_columns(corpus(*columns.split()), READS[kind], told or {}, remembered)
    return found.column, found.pair, found.language


@pytest.mark.parametrize(
    ("kind", "columns", "remembered", "wanted"),
    [
        ("tagger", "id text tokens", {}, ("tokens", None, None)),
        ("tagger", "id text", {"column": "tags"}, ("text", None, None)),
        ("classifier", "label sentence", {}, ("sentence", None, None)),
        ("classifier", "sentence1 sentence2", {}, ("sentence1", "sentence2", None)),
        ("classifier", "text body", {"column": "body"}, ("body", None, None)),
        ("classifier", "a b", {"column": "a", "pair_column": "b"}, ("a", "b", None)),
        ("generator", "target source", {}, ("source", None, None)),
        ("generator", "translation", {"lang": "de-en"}, ("translation", None, "de")),
        ("generator", "en de", {"lang": "de-en"}, ("de", None, None)),
        ("generator", "source", {"lang": "de-en"}, ("source", None, None)),
    ],
)
def test_columns_by_usual_names_and_as_the_run_read_them(kind, columns, remembered, wanted):
    assert chosen(kind, columns, **remembered) == wanted


def test_columns_as_told():
    assert chosen("tagger", "tokens text", {"column": "text"})[0] == "text"
    assert chosen("classifier", "a b", {"column": "b", "pair_column": "a"})[:2] == ("b", "a")
    assert chosen("generator", "translation", {"lang": "en-de"}) == ("translation", None, "en")


@pytest.mark.parametrize(
    ("kind", "columns", "told", "message"),
    [
        ("tagger", "id body", {}, r"no column for the texts \(looked for tokens, .*has: id, body"),
        ("tagger", "id text", {"column": "body"}, "has no column 'body'; it has: id, text"),
        ("classifier", "text", {"pair_column": "more"}, "has no column 'more'; it has: text"),
        ("classifier", "text", {"column": "text", "pair_column": "text"}, "both texts of a pair"),
        ("generator", "translation", {}, "--lang"),
        ("generator", "fr", {"lang": "en-de"}, "nor 'en' .*it has: fr"),
    ],
)
def test_a_column_that_is_not_there(kind, columns, told, message):
    with pytest.raises(UserError, match=message):
        chosen(kind, columns, told)


def test_a_file_without_the_column_of_the_others():
    two = Corpus("json", corpus("text").files + corpus("body", path="b.jsonl").files)
    with pytest.raises(UserError, match=r"b\.jsonl has no column 'text'; it has: body"):
        choose_columns(two, WORDS, {}, {})
    with pytest.raises(UserError, match="has no column 'id'"):
        choose_columns(corpus("text"), WORDS, {}, {}, keep=["id"])


def test_items():
    row = {"text": "a b", "words": ["a", "b"], "more": "c", "translation": {"en": "one"}, "n": 1}
    assert Columns("text").item(row, "here") == "a b"
    assert Columns("words", lists=True).item(row, "here") == ["a", "b"]
    assert Columns("text", "more").item(row, "here") == ["a b", "c"]
    assert Columns("translation", language="en").item(row, "here") == "one"
    assert Columns("text", keep=("n", "no")).kept(row) == {"n": 1, "no": None}
    assert Columns("text", "more", keep=("n", "text")).names == ("text", "more", "n")
    assert Columns("text").item({"text": "\ud83d"}, "here") == "\ufffd"


@pytest.mark.parametrize(
    ("columns", "row", "told"),
    [
        (Columns("text"), {"text": None}, "row 3, column 'text': expected text, not NoneType"),
        (Columns("text"), {}, "expected text, not NoneType"),
        (Columns("text"), {"text": ["a"]}, "expected text, not list"),
        (Columns("text", lists=True), {"text": ["a", 1]}, "not 1 among the words"),
        (Columns("a", "b"), {"a": "x"}, "column 'b': expected text"),
        (Columns("t", language="en"), {"t": {"de": "x"}}, "expected text"),
        (Columns("t", language="en"), {"t": "x"}, "expected text"),
    ],
)
def test_rows_without_a_text_are_named(columns, row, told):
    with pytest.raises(UserError, match=told):
        columns.item(row, "a.jsonl, row 3")
