"""Which columns of a corpus a model reads, and its input out of a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tokenexit.data.characters import whole_characters
from tokenexit.data.columns import TOKEN_COLUMNS
from tokenexit.data.corpus.corpus import Corpus
from tokenexit.data.pairs import SOURCE_COLUMNS
from tokenexit.data.table import described, listed, shown
from tokenexit.data.texts import FIRST, SECOND
from tokenexit.errors import UserError


@dataclass(frozen=True)
class Reads:
    """What a kind of model reads of a row.

    Attributes:
        usual: Columns that it reads if it is told none, best first.
        own: The reading option in which its run remembers the column, if there is one.
        pairs: Whether a second text may stand beside the first.
        lists: Whether a list of words may stand in place of a text.
        translated: Whether its texts may stand in a column of translations, by language.
    """

    usual: tuple[str, ...]
    own: str = ""
    pairs: bool = False
    lists: bool = False
    translated: bool = False


WORDS = Reads((*TOKEN_COLUMNS, *FIRST), lists=True)
TEXTS = Reads(FIRST, "column", pairs=True)
SOURCES = Reads(SOURCE_COLUMNS, "source_column", translated=True)


@dataclass(frozen=True)
class Columns:
    """What is read of each row.

    Attributes:
        column: Of the texts, words or sources.
        pair: Of the second texts.
        language: Which text of a column of translations.
        lists: Whether a list of words may stand in place of a text.
        keep: Columns that are written beside the answers.
    """

    column: str
    pair: str | None = None
    language: str | None = None
    lists: bool = False
    keep: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every column that is needed, once."""
        asked = (self.column, *([self.pair] if self.pair else []), *self.keep)
        return tuple(dict.fromkeys(asked))

    def item(self, row: Mapping[str, Any], where: str) -> Any:
        """What a model is given of a row: a text, its words, or two texts.

        Raises:
            UserError: Names the row if it holds none.
        """
        value = row.get(self.column)
        if self.language is not None:
            value = value.get(self.language) if isinstance(value, Mapping) else None
        if self.pair is not None:
            return [
                _text(value, where, self.column),
                _text(row.get(self.pair), where, self.pair),
            ]
        if self.lists and isinstance(value, list):
            return [_text(word, where, self.column, " among the words") for word in value]
        return _text(value, where, self.column)

    def kept(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """What is written beside its answer."""
        return {name: row.get(name) for name in self.keep}

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def _text(value: Any, where: str, column: str, among: str = "") -> str:
    if not isinstance(value, str):
        what = f"{shown(value)}{among}" if among else described(value)
        raise UserError(
            f"{where}, column {column!r}: expected text, not {what}. Mend or drop this row."
        )
    return whole_characters(value)


def choose_columns(
    corpus: Corpus,
    reads: Reads,
    told: Mapping[str, Any],
    remembered: Mapping[str, Any],
    keep: Sequence[str] = (),
) -> Columns:
    """Decide what is read: as told, else as the model's run read its data, else by usual names.

    Args:
        corpus: Whose columns; every file has to have them.
        reads: What the model can read.
        told: ``column``, ``pair_column`` and ``lang``, as far as they were given.
        remembered: The same of the model's run; used where the corpus has such columns.
        keep: Columns to write beside the answers.

    Raises:
        UserError: A column is missing, in the whole corpus or in one file.
    """
    there = next((file.columns for file in corpus.files if file.rows), ())
    origin = corpus.files[0].path if len(corpus.files) == 1 else "The corpus"
    column, language = _first(there, reads, told, remembered, origin)
    pair = told.get("pair_column")
    if pair is None and reads.pairs:
        usual = (remembered.get("pair_column"), *SECOND)
        pair = next((name for name in usual if name in there and name != column), None)
    if pair == column:
        raise UserError(f"{column!r} cannot be both texts of a pair; name two columns.")
    found = Columns(column, pair, language, reads.lists, tuple(dict.fromkeys(keep)))
    _check_all(corpus, found.names)
    return found


def _first(
    there: Sequence[str],
    reads: Reads,
    told: Mapping[str, Any],
    remembered: Mapping[str, Any],
    origin: str,
) -> tuple[str, str | None]:
    """The column of the texts, and the language in it."""
    if told.get("column") is not None:
        return told["column"], None
    lang = told.get("lang") or (remembered.get("lang") if reads.translated else None)
    if lang is not None:
        language = str(lang).partition("-")[0]
        if "translation" in there:
            return "translation", language
        if language in there:
            return language, None
        if told.get("lang"):
            raise UserError(
                f"{origin} has neither a column 'translation' nor {language!r} (lang={lang}); it "
                f"has: {listed(there)}."
            )
    usual = (*([remembered[reads.own]] if reads.own in remembered else []), *reads.usual)
    for name in usual:
        if name in there:
            return name, None
    way = "Name it with --column"
    if reads.translated and "translation" in there:
        way = (
            "Say which language is read with --lang, such as en-de, or name a column with --column"
        )
    raise UserError(
        f"{origin} has no column for the texts (looked for {', '.join(usual)}); it has: "
        f"{listed(there)}. {way}."
    )


def _check_all(corpus: Corpus, names: Sequence[str]) -> None:
    for file in corpus.files:
        for name in names:
            if file.rows and name not in file.columns:
                raise UserError(
                    f"{file.path} has no column {name!r}; it has: {listed(file.columns)}."
                )
