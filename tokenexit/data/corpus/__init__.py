"""Texts that are read a stretch at a time: more of them than fit into memory, or onto a disk."""

from __future__ import annotations

from tokenexit.data.corpus.columns import SOURCES, TEXTS, WORDS, Columns, Reads, choose_columns
from tokenexit.data.corpus.corpus import Corpus, Reader
from tokenexit.data.corpus.found import Found, find_files, is_corpus
from tokenexit.data.corpus.index import FileIndex, scan

__all__ = [
    "SOURCES",
    "TEXTS",
    "WORDS",
    "Columns",
    "Corpus",
    "FileIndex",
    "Found",
    "Reader",
    "Reads",
    "choose_columns",
    "find_files",
    "is_corpus",
    "scan",
]
