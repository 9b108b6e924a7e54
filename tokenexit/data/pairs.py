"""Pairs of texts: what to read, and what to write for it, in one or several wordings."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenexit.data.split import Split
from tokenexit.data.table import Table, check_apart, check_texts, described, listed, shown
from tokenexit.errors import UserError

SOURCE_COLUMNS = (
    "source", "src", "document", "article", "dialogue", "meaning_representation", "mr", "input",
    "text",
)  # fmt: skip
TARGET_COLUMNS = (
    "target", "tgt", "summary", "highlights", "human_reference", "ref", "output",
)  # fmt: skip
_LANGUAGES = re.compile(r"([A-Za-z_]{2,})-([A-Za-z_]{2,})")


@dataclass(frozen=True)
class PairSplit(Split):
    """Pairs of one split.

    Attributes:
        sources: Texts to read; one may be empty.
        targets: A text to write for each, or None where there are sources alone.
        references: Every human wording of each target, that one among them; None as ``targets``.
        origin: Where it comes from, for messages.
        groups: Document of each pair; None where each stands for itself.
    """

    sources: list[str]
    targets: list[str] | None
    references: list[list[str]] | None
    origin: str
    groups: list[str] | None = field(default=None, kw_only=True)

    def __len__(self) -> int:
        return len(self.sources)

    def keys(self) -> list[str]:
        """See ``Split``."""
        targets = self.targets or [""] * len(self)
        return [f"{a}\x1e{b}" for a, b in zip(self.sources, targets, strict=True)]


def read_pairs(
    source: str | Path,
    *,
    lang: str | None = None,
    source_column: str | None = None,
    target_column: str | None = None,
    name: str | None = None,
    revision: str | None = None,
    sources_only: bool = False,
) -> dict[str, PairSplit]:
    """Read every split of a text-to-text data set.

    Sources and targets stand in two columns of text, or by language in ``translation: {en, de}``
    or in columns named ``en`` and ``de``. A column ``references`` (``references_de`` for German)
    holds further wordings; a row without any has its target alone.

    Args:
        source: File, folder or Hub id, as in `tokenexit.data.source.load_splits`.
        lang: Direction of a translation, such as ``en-de``.
        source_column: Column of the sources, where it has none of the usual names.
        target_column: The same for targets.
        name: Configuration or sub-folder.
        revision: Of a Hub data set.
        sources_only: Read no targets, which need not be there.

    Raises:
        UserError: The source cannot be read, a column or language is missing, or a row is
            malformed.
    """
    from tokenexit.data.source import load_splits

    languages = _languages(lang, source_column, target_column)
    loaded = load_splits(source, name=name, revision=revision)
    splits = {}
    for split, table in loaded.items():
        origin = str(source) if split == "all" else f"{source} [{split}]"
        if len(table) == 0:
            raise UserError(f"{origin} has no rows.")
        if languages:
            sides = [_side(table, each, lang, origin) for each in languages[: 2 - sources_only]]
        else:
            sides = [_column(table, source_column, SOURCE_COLUMNS, "source", origin)]
            if not sources_only:
                sides.append(_column(table, target_column, TARGET_COLUMNS, "target", origin))
        if not languages and not sources_only:
            check_apart({"sources": sides[0][0], "targets": sides[1][0]}, origin)
        pairs = _split(table, sides, languages[1:], origin)
        if split in ("train", "all"):
            _check_not_empty(pairs)
        splits[split] = pairs
    return splits


# A column, and the language to take out of it.
_Side = tuple[str | None, str | None]


def _languages(
    lang: str | None, source_column: str | None, target_column: str | None
) -> tuple[str, ...]:
    if lang is None:
        return ()
    if source_column is not None or target_column is not None:
        raise UserError(
            f"lang={lang!r} already says what to read; leave it out, or source_column and "
            "target_column."
        )
    found = _LANGUAGES.fullmatch(lang)
    if found is None or found[1] == found[2]:
        raise UserError(
            f"lang must name two languages, from and to, such as en-de; it is {lang!r}."
        )
    return found.groups()


def _side(table: Table, language: str, lang: str | None, origin: str) -> _Side:
    if "translation" in table.column_names:
        there = _keys(table)
        if language in there:
            return "translation", language
    elif language in table.column_names:
        return language, None
    else:
        there = table.column_names
    hint = " Columns of text have their direction; leave lang out." if "source" in there else ""
    raise UserError(
        f"{origin} has no language {language!r} (lang={lang}); it has: {listed(there)}.{hint}"
    )


def _column(
    table: Table, given: str | None, usual: tuple[str, ...], what: str, origin: str
) -> _Side:
    names = usual if given is None else (given,)
    for name in names:
        if name in table.column_names:
            return name, None
    if what == "target" and given is None and "references" in table.column_names:
        return None, None
    there = table.column_names
    if "translation" in there and given is None:
        languages = _keys(table)
        example = "-".join(languages[:2]) if len(languages) > 1 else "en-de"
        raise UserError(
            f"{origin} holds translations ({listed(languages)}); say in which direction, such "
            f"as lang={example}."
        )
    raise UserError(
        f"{origin} has no {what} column (looked for {', '.join(names)}); it has: "
        f"{listed(there)}. Name yours with {what}_column, or two languages with lang=en-de "
        f"(--{what}-column or --lang on the command line)."
        f"{table.hint}"
    )


def _keys(table: Table) -> list[str]:
    first = table.column("translation")[0]
    return list(first) if isinstance(first, dict) else []


def _split(table: Table, sides: list[_Side], language: tuple[str, ...], origin: str) -> PairSplit:
    sources = _texts(table, sides[0], origin)
    if len(sides) == 1:
        return PairSplit(sources, None, None, origin)
    column = sides[1][0]
    further = _reference_column(table, column, language)
    rows = _references(table, further, origin) if further else [[] for _ in sources]
    if column is None:
        for row, wordings in enumerate(rows):
            if not wordings:
                raise UserError(f"{origin}, row {row}: neither a target nor a reference.")
        return PairSplit(sources, [wordings[0] for wordings in rows], rows, origin)
    targets = _texts(table, sides[1], origin)
    references = [
        wordings if target in wordings else [target, *wordings]
        for target, wordings in zip(targets, rows, strict=True)
    ]
    return PairSplit(sources, targets, references, origin)


def _reference_column(table: Table, target: str | None, language: tuple[str, ...]) -> str | None:
    # Where another column than target is asked for, the references are not its own.
    name = f"references_{language[0]}" if language else "references"
    foreign = not language and target != "target" and "target" in table.column_names
    return name if name in table.column_names and not foreign else None


def _texts(table: Table, side: _Side, origin: str) -> list[str]:
    column, language = side
    values: list[Any] = table.column(str(column))
    place = f"column {column!r}" if language is None else f"language {language!r}"
    for row, value in enumerate(values):
        if language is not None and not isinstance(value, dict):
            raise UserError(
                f"{origin}, row {row}, {place}: a translation is an object such as "
                f'{{"en": "one", "de": "eins"}}, not {described(value)}. Mend or drop this row.'
            )
    if language is not None:
        values = [value.get(language) for value in values]
    check_texts(values, origin, place)
    return values


def _references(table: Table, column: str, origin: str) -> list[list[str]]:
    rows: list[Any] = list(table.column(column))
    for row, value in enumerate(rows):
        wordings = [] if value is None else value if isinstance(value, list) else [value]
        rows[row] = wordings
        strange = [text for text in wordings if not isinstance(text, str)]
        if strange:
            raise UserError(
                f"{origin}, row {row}, column {column!r}: {shown(strange[0])} among the "
                "references; every one must be text. Mend or drop this row."
            )
    return rows


def _check_not_empty(split: PairSplit) -> None:
    for row, target in enumerate(split.targets or ()):
        if not target.strip():
            raise UserError(
                f"{split.origin}, row {row}: the target is empty, and nothing can be learned from "
                "it. Mend or drop this row."
            )
