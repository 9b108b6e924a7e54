"""``docs/systems.md`` says of every method what the registry says, and its tests exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tokenexit.methods import METHODS
from tokenexit.reporting.systems import systems_table

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "systems.md"


def test_the_page_has_the_table_of_today():
    told = (
        "docs/systems.md is not what `tokenexit methods --table` prints; write it anew with "
        "`make systems`."
    )
    assert systems_table() in PAGE.read_text(), told


@pytest.mark.parametrize("name", [name for name, _ in METHODS.items()])
def test_a_method_names_tests_that_exist(name):
    named = re.findall(r"\btests/[\w/]+\.py", METHODS.get(name).checked)
    assert named, f"say in {name}.checked what was checked by hand, and where"
    assert [path for path in named if not (ROOT / path).is_file()] == []
