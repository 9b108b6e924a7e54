"""Groups of texts that are each promised the same."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from tokenexit.errors import UserError
from tokenexit.guarantees.losses import Columns

_SPAN = re.compile(r"(\d+)-(\d*)")

COUNTED = frozenset(
    "rows changed layers deep right exact f1_over f1_under error most brier said references".split()
)
"""What exits cost is counted in these."""


def groups_of(every: str | None, columns: Columns) -> dict[str, NDArray[np.int64]]:
    """Numbers of the texts of each group.

    Args:
        every: As ``Guarantee.every``.
        columns: Of full depth; ``class`` and ``length`` are among them, where they have a meaning.

    Raises:
        UserError: There is no such column, or lengths are written otherwise or left out.
    """
    if every is None:
        first = next(iter(columns.values()))
        return {"": np.arange(len(first))}
    name, _, spans = every.partition(":")
    if name not in columns:
        there = [key for key in ("class", "length") if key in columns]
        raise UserError(
            f"Texts have no {name!r} to be told apart by; they have: {', '.join(there) or 'none'}."
        )
    if name in COUNTED:
        raise UserError(f"{name!r} is what is counted of texts, and tells no groups apart.")
    values = np.asarray(columns[name])
    if spans and values.dtype.kind not in "biuf":
        raise UserError(
            f"Ranges are of numbers, and {name!r} is none; write 'every {name}' for each of them."
        )
    if not spans:
        return {str(one): np.flatnonzero(values == one) for one in np.unique(values)}
    found = {}
    for span in spans.split(","):
        ends = _SPAN.fullmatch(span.strip())
        if ends is None:
            raise UserError(f"{span!r} is no range such as 0-10 or 31-, in {every!r}.")
        high = np.inf if not ends[2] else float(ends[2])
        if high < float(ends[1]):
            raise UserError(f"{span!r} ends before it begins, in {every!r}.")
        found[span.strip()] = np.flatnonzero((values >= float(ends[1])) & (values <= high))
    outside = len(values) - len(np.unique(np.concatenate(list(found.values()))))
    if outside:
        raise UserError(f"{outside} texts lie in none of the ranges of {every!r}; cover all.")
    return found
