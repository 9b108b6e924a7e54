"""Embeddings: with which states does a text enter which layer?  Every module registers its own."""

from __future__ import annotations

from tokenexit.embeddings.base import (
    EMBEDDINGS,
    Below,
    Embeddings,
    Shape,
    Tokens,
    build_embeddings,
    first_exit,
    looks_up,
)
from tokenexit.embeddings.plain import Plain
from tokenexit.embeddings.table import UNKNOWN, NGramTable

__all__ = [
    "EMBEDDINGS",
    "UNKNOWN",
    "Below",
    "Embeddings",
    "NGramTable",
    "Plain",
    "Shape",
    "Tokens",
    "build_embeddings",
    "first_exit",
    "looks_up",
]
