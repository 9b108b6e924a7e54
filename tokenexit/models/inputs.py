"""Texts as users have them, in any container, checked before anything is computed."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Set
from numbers import Real
from typing import Any

from tokenexit.data.characters import whole_characters
from tokenexit.errors import UserError

Texts = Iterable[str] | Iterable[Iterable[str]]
"""Strings, or lists of strings, in anything that can be gone through."""


def each(texts: Any, call: str = "predict") -> Iterator[Any]:
    """The items of a list, tuple, generator, Series, array, column, ...

    Raises:
        UserError: It is one text, a table, a mapping, or nothing that can be gone through.
    """
    _check_container(texts, call)
    return map(_plain, texts)


def read_strings(texts: Any) -> Iterator[str]:
    """Texts, for a generator: each a string.

    Raises:
        UserError: Names the first item that is none.
    """
    return (_string(item, f"Text {number}") for number, item in enumerate(each(texts)))


def read_texts(texts: Any) -> Iterator[str | list[str]]:
    """Texts, for a tagger: each a string or a list of words.

    Raises:
        UserError: Names the first item that is neither.
    """
    return (
        _string(item) if isinstance(item, str) else _strings(item, number, "word")
        for number, item in enumerate(each(texts))
    )


def read_words(texts: Any, call: str = "tag") -> Iterator[list[str]]:
    """Words of texts that are split.

    Raises:
        UserError: Names the first item that is no list of words.
    """
    return (_strings(item, number, "word") for number, item in enumerate(each(texts, call)))


def read_parts(texts: Any, call: str = "predict") -> Iterator[list[str]]:
    """Texts, for a classifier: each a string or a pair, as lists of one or two strings.

    Args:
        texts: Any container of them.
        call: Which method takes them; ``trace`` takes lists alone.

    Raises:
        UserError: Names the first item that is neither, or that mixes texts and pairs.
    """
    return _alike(
        [_string(item)]
        if isinstance(item, str) and call == "predict"
        else _strings(item, number, "part")
        for number, item in enumerate(each(texts, call))
    )


def _alike(texts: Iterator[list[str]]) -> Iterator[list[str]]:
    first = 0
    for number, parts in enumerate(texts):
        if not 1 <= len(parts) <= 2:
            raise UserError(
                f"Text {number} must be a string, or a list of one or two strings; it has "
                f"{len(parts)} parts."
            )
        first = first or len(parts)
        if len(parts) != first:
            raise UserError(
                f"Text {number} has {len(parts)} part(s) and text 0 has {first}: give all "
                "texts a second one, or none."
            )
        yield parts


def read_targets(targets: Any, texts: int) -> list[list[Any]]:
    """Gold classes, or values, of texts: a list of numbers each.

    Raises:
        UserError: There are more or fewer than texts, or one is no number.
    """
    rows = [_row(row) for row in targets]
    if len(rows) != texts:
        raise UserError(f"There are {texts} texts, and labels for {len(rows)}.")
    for number, row in enumerate(rows):
        if not isinstance(row, list) or not all(
            type(value) in (int, float) or isinstance(value, Real) for value in row
        ):
            raise UserError(
                f"The labels of text {number} must be a list of class numbers, not {_short(row)}."
            )
    return rows


def _check_container(texts: Any, call: str) -> None:
    given = type(texts).__name__
    if isinstance(texts, str):
        raise UserError(f"{call} takes a list of texts; wrap a single one: {call}([text]).")
    if isinstance(texts, bytes | bytearray | memoryview):
        raise UserError(f"{call} takes a list of texts, not {given}: decode and wrap them.")
    table = hasattr(texts, "columns") or hasattr(texts, "column_names")
    if table or isinstance(texts, Mapping):
        raise UserError(
            f"{call} takes a list of texts, not a {given} of several columns: give one of them, "
            'such as data["text"].'
        )
    if not isinstance(texts, Iterable) or getattr(texts, "shape", None) == ():
        raise UserError(f"{call} takes a list of texts, not {given}: {_short(texts)}.")


def _strings(item: Any, number: int, what: str) -> list[str]:
    """An inner list."""
    refused = (bytes, bytearray, memoryview, Mapping, Set)  # bytes, and what has no order
    if isinstance(item, str):
        raise UserError(
            f"Text {number} must be a list of strings, not one: {_short(item)}. Put a text of a "
            "classifier into a list of one or two strings, split one of a tagger, or call predict."
        )
    if isinstance(item, refused) or not isinstance(item, Iterable) or _is_scalar(item):
        raise UserError(
            f"Text {number} is neither a string nor a list of strings but "
            f"{type(item).__name__}: {_short(item)}.{_advice(item)}"
        )
    neither = f"Text {number} is neither a string nor a list of strings: {what}"
    return [
        part if type(part) is str and part.isascii() else _string(part, f"{neither} {place}")
        for place, part in enumerate(item)
    ]


def _string(item: Any, name: str = "") -> str:
    """A plain string without half characters."""
    if type(item) is not str:
        if not isinstance(item, str):
            raise UserError(
                f"{name} is no string but {type(item).__name__}: {_short(item)}.{_advice(item)}"
            )
        item = str.__str__(item)  # numpy's, an enumeration's, a subclass of the user's
    return whole_characters(item)


def _row(row: Any) -> Any:
    if hasattr(row, "tolist"):  # an array or a tensor
        return row.tolist()
    return list(row) if isinstance(row, Iterable) else row


def _plain(item: Any) -> Any:
    """What an Arrow scalar stands for; anything else as it is."""
    return item.as_py() if not isinstance(item, str) and hasattr(item, "as_py") else item


def _advice(item: Any) -> str:
    if isinstance(item, bytes | bytearray):
        return ' Decode it first: text.decode("utf-8").'
    nan = isinstance(item, Real) and math.isnan(item)
    if item is None or nan or type(item).__name__ in ("NAType", "NaTType"):
        return ' Drop missing texts, or put "" in their place.'
    if isinstance(item, Mapping):
        return ' Give its text alone, such as row["text"].'
    return ""


def _is_scalar(item: Any) -> bool:
    return getattr(item, "shape", None) == ()


def _short(item: Any) -> str:
    return " ".join(reprlib.repr(item).split())
