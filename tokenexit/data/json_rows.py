"""JSON and JSON lines: one object a row, or one list of objects for the whole file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tokenexit.data.characters import whole_characters
from tokenexit.data.plain import read_plain
from tokenexit.data.table import Table, listed
from tokenexit.errors import UserError

_EXAMPLE = '{"tokens": [...], "ner_tags": [...]}'
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class _Doubled(dict[str, Any]):
    """An object with several values under one key, of which JSON keeps the last."""

    doubled: frozenset[str] = frozenset()


def read_json(path: Path) -> Table:
    """Read a file of objects; those that lack a key have ``None`` there.

    Lone surrogates (half an emoji) become U+FFFD.

    Raises:
        UserError: No UTF-8, no JSON, nested too deep, or a row that is no object.
    """
    text = read_plain(path)
    rows = _parse(path, text)
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise UserError(
                f"{path}: row {number} is {type(row).__name__}, expected an object such as "
                f"{_EXAMPLE}."
            )
    doubled = {name for row in rows if isinstance(row, _Doubled) for name in row.doubled}
    if _SURROGATE.search(text):
        rows = [_whole_row(row, f"{path}, row {number}") for number, row in enumerate(rows)]
    names = list(dict.fromkeys(name for row in rows for name in row))  # keeps their order
    names += sorted(whole_characters(name) for name in doubled)
    return Table(str(path), names, len(rows), lambda name: [row.get(name) for row in rows])


def parse_row(line: str, where: str) -> dict[str, Any]:
    """One line of JSON lines; lone surrogates become U+FFFD.

    Args:
        line: Its text.
        where: Where it stands, for messages.

    Raises:
        UserError: No JSON, nested too deep, or no object.
    """
    row = _loads(line, where)
    if not isinstance(row, dict):
        raise UserError(f"{where} is {type(row).__name__}, expected an object such as {_EXAMPLE}.")
    return _whole_row(row, where) if _SURROGATE.search(line) else row


def _parse(path: Path, text: str) -> list[Any]:
    if text.lstrip().startswith("["):
        return _loads(text, str(path))
    rows = []
    for number, line in enumerate(text.split("\n" if "\n" in text else "\r"), 1):
        if not line.strip():
            continue
        try:
            rows.append(_loads(line, f"{path}, line {number}"))
        except UserError:
            _refuse_one_object(path, text)
            raise
    return rows


def _loads(text: str, where: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        told = ", line " in where or ", row " in where
        place = "" if told else f" at line {error.lineno}"
        raise UserError(
            f"{where}: not valid JSON{place} ({error.msg}). Expected one object a line, or one "
            "list of objects for the whole file."
        ) from error
    except RecursionError as error:
        raise UserError(f"{where}: nested too deep to be read. Mend or drop it.") from error
    except ValueError as error:  # integers of thousands of digits
        raise UserError(f"{where}: {error}. Mend or drop it.") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    names = [name for name, _ in pairs]
    doubled = _Doubled(made)
    doubled.doubled = frozenset(name for name in names if names.count(name) > 1)
    return doubled


def _refuse_one_object(path: Path, text: str) -> None:
    """Say more where the whole file is one object over many lines."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        return
    if isinstance(whole, dict):
        raise UserError(
            f"{path} is one object with the keys {listed(whole, 8)}. Expected a list of "
            "objects, [{...}, {...}], or one object a line."
        )


def _whole_row(row: dict[str, Any], where: str) -> dict[str, Any]:
    try:
        return _whole(row)
    except RecursionError as error:
        raise UserError(f"{where}: nested too deep to be read. Mend or drop it.") from error


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return whole_characters(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {whole_characters(name): _whole(item) for name, item in value.items()}
    return value
