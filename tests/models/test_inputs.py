"""Texts in any container give the right results in the right order, or are refused at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from datasets import Dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokenexit.errors import UserError
from tokenexit.models.inputs import read_parts, read_strings, read_targets, read_texts, read_words

TEXTS = ["Ada was born.", "", "in London", "paris and Paris", "she"]


class Mine(str):
    """What a user may have made of a string."""

    def __str__(self) -> str:
        return "something else"


class Place(StrEnum):
    PARIS = "paris"


def series(texts: list[Any], kind: str = "object") -> Any:
    pandas = pytest.importorskip("pandas")
    return pandas.Series(texts, index=[*range(len(texts))][::-1], dtype=kind)


CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "generator": lambda texts: (text for text in texts),
    "iterator": iter,
    "map": lambda texts: map(str, texts),
    "deque": deque,
    "keys": lambda texts: dict.fromkeys(texts).keys(),
    "values": lambda texts: dict(enumerate(texts)).values(),
    "array": lambda texts: np.array(texts, dtype=str),
    "array of objects": lambda texts: np.array(texts, dtype=object),
    "series": series,
    "series of strings": lambda texts: series(texts, "string"),
    "filtered series": lambda texts: series(["x", *texts])[lambda s: s != "x"],
    "index": lambda texts: series(texts).set_axis(texts).index,
    "column": lambda texts: Dataset.from_dict({"text": texts})["text"],
    "arrow": pa.array,
    "arrow in chunks": lambda texts: pa.chunked_array([texts[:2], texts[2:]]),
    "arrow scalars": lambda texts: list(pa.array(texts)),
    "strings of the user's own": lambda texts: [Mine(text) for text in texts],
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_any_container(kind, tagger):
    wanted = [tagger.predict([text])[0] for text in TEXTS]
    found = tagger.predict(CONTAINERS[kind](TEXTS))
    assert [one.text for one in found] == TEXTS
    assert all(type(one.text) is str for one in found)
    assert [one.labels for one in found] == [one.labels for one in wanted]
    again = tagger.predict_iter(CONTAINERS[kind](TEXTS), batch_size=2)
    assert [one.labels for one in again] == [one.labels for one in wanted]


@pytest.mark.parametrize("kind", CONTAINERS)
@pytest.mark.parametrize("read", [read_strings, read_texts, read_parts])
def test_every_reader_takes_them(kind, read):
    found = list(read(CONTAINERS[kind](TEXTS)))
    assert found == ([[text] for text in TEXTS] if read is read_parts else TEXTS)


def test_a_set_answers_in_its_own_order():
    texts = {"b", "a", "c"}
    assert list(read_strings(texts)) == list(texts)


@pytest.mark.parametrize(
    "texts",
    [
        [("a", "b"), ["c", "d"]],
        np.array([["a", "b"], ["c", "d"]]),
        pa.array([["a", "b"], ["c", "d"]]),
        (iter(pair) for pair in ("ab", "cd")),
        zip("ac", "bd", strict=True),
        dict(zip("ac", "bd", strict=True)).items(),
    ],
)
def test_pairs_and_words(texts):
    kept = list(read_parts(texts))
    assert kept == [["a", "b"], ["c", "d"]]
    assert list(read_texts(kept)) == list(read_words(kept)) == kept


REFUSED = [
    ("a text", r"wrap a single one: predict\(\[text\]\)"),
    (np.str_("a text"), "wrap a single one"),
    (b"a text", "not bytes: decode"),
    (None, "not NoneType"),
    (3, "not int"),
    (np.array("a text"), "not ndarray"),
    ({"text": ["a"]}, r"give one of them, such as data\[\"text\"\]"),
    (pa.table({"text": ["a"]}), "not a Table of several columns"),
    (Dataset.from_dict({"text": ["a"]}), "not a Dataset of several columns"),
    (["a", None], "Text 1 .*NoneType.*Drop missing texts"),
    (["a", float("nan")], "Text 1 .*float.*Drop missing texts"),
    (["a", np.float32("nan")], "Text 1 .*Drop missing texts"),
    (pa.array(["a", None]), "Text 1 .*Drop missing texts"),
    (["a", b"b"], r"Text 1 .*bytes.*decode\(\"utf-8\"\)"),
    (["a", 5], "Text 1 .*int: 5"),
    ([True], "Text 0 .*bool"),
    (torch.tensor([1, 2]), "Text 0 .*Tensor"),
    (range(3), "Text 0 .*int"),
    ([{"text": "a"}], r"Text 0 .*dict.*row\[\"text\"\]"),
]


@pytest.mark.parametrize(("texts", "told"), REFUSED)
@pytest.mark.parametrize("read", [read_strings, read_texts, read_parts])
def test_what_is_no_text_is_refused(read, texts, told):
    with pytest.raises(UserError, match=told):
        list(read(texts))


def test_tables_of_pandas_are_refused():
    table = series(["a", "b"]).to_frame("text")
    with pytest.raises(UserError, match="not a DataFrame of several columns"):
        read_texts(table)
    missing = series(["a", None], "string")
    with pytest.raises(UserError, match=r"Text 1 .*Drop missing texts"):
        list(read_texts(missing))


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ([["a", None]], "Text 0 is neither .* word 1 is no string but NoneType"),
        ([["a"], ["b", ["c"]]], "Text 1 is neither .* word 1 is no string but list"),
        ([["a"], {"b"}], "Text 1 .*set"),
        ([np.array("a")], "Text 0 .*ndarray"),
    ],
)
def test_words_that_are_none(texts, told):
    with pytest.raises(UserError, match=told):
        list(read_texts(texts))
    with pytest.raises(UserError, match=told):
        list(read_words(texts))


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ([("a", "b", "c")], "one or two strings; it has 3 parts"),
        ([[]], "one or two strings; it has 0 parts"),
        ([("a", "b"), "c"], "Text 1 has 1 part.* text 0 has 2"),
        (["a", ("b", "c")], "Text 1 has 2 part.* text 0 has 1"),
        ([("a", None)], "Text 0 is neither .* part 1 is no string but NoneType"),
        ([("a", ["b"])], "Text 0 is neither .* part 1 is no string but list"),
    ],
)
def test_parts_that_are_none(texts, told):
    with pytest.raises(UserError, match=told):
        list(read_parts(texts))


def test_words_are_no_string():
    """A string is a list of letters to Python, and nobody means that."""
    with pytest.raises(UserError, match="Text 1 must be a list of strings, not one: 'Ada sang'"):
        list(read_words([["Ada"], "Ada sang"]))


def test_nothing_is_computed_before_all_is_read(tagger, monkeypatch):
    monkeypatch.setattr(type(tagger), "tag", lambda *a, **k: pytest.fail("computed"))
    with pytest.raises(UserError, match="Text 2"):
        tagger.predict(["a", "b", None])


def test_half_characters():
    texts = ["half \ud83d", ["\ude00", "ok"]]
    assert list(read_texts(texts)) == ["half \ufffd", ["\ufffd", "ok"]]
    assert list(read_parts(["\ud83d\ude00"])) == [["\U0001f600"]]


def test_plain_strings_come_out():
    found = list(read_strings([Place.PARIS, np.str_("b"), Mine("c")]))
    assert found == ["paris", "b", "c"]
    assert {type(text) for text in found} == {str}


@pytest.mark.parametrize("call", ["tag", "exit_table"])
def test_words_are_checked_wherever_they_enter(call, tagger):
    for texts, told in (
        (["Ada"], "Text 0 must be a list"),
        ([["a", None]], "word 1"),
        ("a", "list"),
    ):
        with pytest.raises(UserError, match=told):
            getattr(tagger, call)(texts)
    generated = getattr(tagger, call)(text.split() for text in TEXTS)
    assert len(generated.text) == sum(len(text.split()) for text in TEXTS)


def test_targets():
    rows = [[1, 2], np.array([0]), torch.tensor([-100, 4]), iter([1])]
    assert read_targets(rows, 4) == [[1, 2], [0], [-100, 4], [1]]
    with pytest.raises(UserError, match="There are 2 texts, and labels for 1"):
        read_targets([[1]], 2)
    with pytest.raises(UserError, match="labels of text 1 must be a list of class numbers"):
        read_targets([[1], 2], 2)
    with pytest.raises(UserError, match=r"labels of text 0 .*'O'"):
        read_targets([["O"]], 1)


# --- any input at all --------------------------------------------------------------------------

_plain = st.text(max_size=12)
_words = st.lists(st.text(max_size=5), max_size=4)
_odd = st.one_of(
    st.none(), st.integers(), st.floats(), st.binary(max_size=3), st.dictionaries(_plain, _plain)
)
_container = st.sampled_from([list, tuple, iter, deque, lambda items: (i for i in items)])


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(items=st.lists(st.one_of(_plain, _words), max_size=5), container=_container, data=st.data())
def test_right_results_in_the_right_order_or_a_refusal(items, container, data, tagger):
    found = tagger.predict(container(items), policy="never")
    assert len(found) == len(items)
    for item, one in zip(items, found, strict=True):
        assert one.text == (item if isinstance(item, str) else None)
        assert isinstance(item, str) or one.words == item
        assert len(one.words) == len(one.labels) == len(one.exit_layers) == len(one.confidences)
    if items:
        place = data.draw(st.integers(0, len(items) - 1))
        [alone] = tagger.predict([items[place]], policy="never")
        assert alone.labels == found[place].labels
        assert alone.confidences == pytest.approx(found[place].confidences, abs=2e-6)
    place = data.draw(st.integers(0, len(items)))
    with pytest.raises(UserError, match=f"Text {place} "):
        tagger.predict(container([*items[:place], data.draw(_odd), *items[place:]]))


# --- one after the other -----------------------------------------------------------------------


def endless() -> Iterator[str]:
    while True:
        yield from TEXTS


def test_endless_texts(tagger):
    source = endless()
    results = tagger.predict_iter(source, batch_size=2)
    assert [next(results).text for _ in range(3)] == TEXTS[:3]
    assert next(source) == TEXTS[4]  # no more than a batch ahead


def test_what_came_before_a_mistake_is_answered(tagger):
    results = tagger.predict_iter(["a", "b", "c", None], batch_size=8)
    assert [next(results).text for _ in range(3)] == ["a", "b", "c"]
    with pytest.raises(UserError, match="Text 3"):
        next(results)


def test_a_bad_container_is_refused_before_anybody_asks(tagger):
    with pytest.raises(UserError, match="wrap a single one"):
        tagger.predict_iter("a text")
    with pytest.raises(UserError, match="batch_size"):
        tagger.predict_iter(["a text"], batch_size=0)
