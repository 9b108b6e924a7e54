"""What a quality is held to, where that was computed in another precision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def within(row: Mapping[str, Any]) -> str:
    """In which precision a result was measured: `` in int8``; nothing where full depth was too.

    Args:
        row: A result, as ``tokenexit evaluate --json`` writes it.
    """
    return f" in {row['precision']}" if reference_of(row) else ""


def full_depth(row: Mapping[str, Any]) -> str:
    """Full depth, with its precision where that is another: ``full depth in fp32``."""
    reference = reference_of(row)
    return f"full depth in {reference}" if reference else "full depth"


def reference_of(row: Mapping[str, Any]) -> str | None:
    """The precision of full depth, where it is not that of the result."""
    precision, reference = row.get("precision"), row.get("full_depth_precision")
    if not isinstance(precision, str) or not isinstance(reference, str):
        return None  # of an older version, which compared within one precision
    return None if precision == reference else reference


def held_to_sentence(rows: Iterable[Mapping[str, Any]]) -> str:
    """Says it of a table of results; nothing where all is of one precision."""
    told = {
        f"in {row['precision']} against full depth in {reference}"
        for row in rows
        if (reference := reference_of(row))
    }
    return f"Quality was measured {' and '.join(sorted(told))}." if told else ""
