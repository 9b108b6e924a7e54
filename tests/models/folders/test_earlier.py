"""Folders that an earlier version wrote load, and answer as they did."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import tokenexit

EARLIER = Path(__file__).parent / "earlier"
KINDS = sorted(path.name for path in EARLIER.iterdir())
WRITTEN = {"tagger", "cascade", "generator", "regression"}


def near(found: Any, wanted: Any) -> bool:
    """Equal, numbers to rounding."""
    if isinstance(wanted, dict):
        return all(near(found[key], value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(near, found, wanted))
    if isinstance(wanted, float):
        return found == pytest.approx(wanted, abs=2e-5)
    return found == wanted


def test_what_there_is_is_here():
    assert set(KINDS) == WRITTEN


@pytest.mark.parametrize("kind", KINDS)
def test_it_answers_as_it_did(kind, tmp_path):
    folder = Path(shutil.copytree(EARLIER / kind, tmp_path / kind))
    known = json.loads((folder / "answers.json").read_text())
    model = getattr(tokenexit, known["loads"]).from_pretrained(folder)
    found = [result.to_dict() for result in model.predict(known["texts"])]
    assert near(found, known["answers"]), found
    model.save_pretrained(tmp_path / "again")
    again = type(model).from_pretrained(tmp_path / "again")
    assert near([result.to_dict() for result in again.predict(known["texts"])], known["answers"])
