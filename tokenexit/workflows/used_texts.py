"""Which texts served for something, told by what they say and not by where they lie.

A model keeps a short record of them: how many, one hash of all, and the first digits of a few
hashes. The few are those with the smallest hashes, as good as drawn at random, so that they say how
many texts two splits share, whatever their files are called and however they were dealt out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tokenexit.calibration.certificate.verdict import texts_hash
from tokenexit.data.split import Split
from tokenexit.guarantees.order import text_hash

TEXTS = "texts_used"
"""Where a model says, in what it keeps of its training and of its calibration, which texts served
for what."""

KEPT, DIGITS = 128, 12
"""Hashes that are kept, and digits of each."""

FEW = 0.1
"""Below this share of a split, texts that stand in another as well are no use of it: short texts
come again by themselves, and so few can flatter little."""


def asked(split: Split) -> Iterator[str]:
    """What is read of each row, without what is meant to be said of it."""
    return (key.partition("\x1e")[0] for key in split.keys())  # noqa: SIM118


def record_of(*splits: Split) -> dict[str, Any]:
    """What is kept of the texts of splits, as plain data; equal texts count once."""
    hashes = sorted({text_hash(text) for split in splits for text in asked(split)})
    few = "".join(one[:DIGITS] for one in hashes[:KEPT])
    return {"texts": len(hashes), "sha256": texts_hash(hashes), "sample": few}


def is_of(record: Any, split: Split) -> bool:
    """Whether a record is of all texts of a split and of no others."""
    return isinstance(record, Mapping) and record.get("sha256") == record_of(split)["sha256"]


def are_of(record: Any, split: Split, least: int = 1) -> bool:
    """Whether a record is of so many texts of a split that they count, as far as it tells.

    Args:
        record: Of some texts.
        split: Others.
        least: Of the few hashes of the record that must be among them.
    """
    if not isinstance(record, Mapping) or not len(split):
        return False
    here = {text_hash(text) for text in asked(split)}
    if record.get("sha256") == texts_hash(sorted(here)):
        return True
    told, count = str(record.get("sample") or ""), int(record.get("texts") or 0)
    few = {told[start : start + DIGITS] for start in range(0, len(told), DIGITS)}
    there = len(few & {one[:DIGITS] for one in here})
    return there >= min(least, len(few)) > 0 and there / len(few) * count >= FEW * len(here)
