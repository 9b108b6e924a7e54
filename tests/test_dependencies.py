"""A release that warns cannot turn the set-up red, and the versions that passed are on record."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONSTRAINTS = ROOT / ".ci" / "constraints.txt"


def requirements() -> list[Requirement]:
    stated = [*PROJECT["project"]["dependencies"]]
    return list(map(Requirement, stated + PROJECT["project"]["optional-dependencies"]["test"]))


def test_no_warning_is_an_error_in_the_set_up():
    filters = PROJECT["tool"]["pytest"]["ini_options"]["filterwarnings"]
    assert not [one for one in filters if one.startswith("error")]


def test_every_dependency_states_its_lowest_version():
    assert not [str(one) for one in requirements() if ">=" not in str(one.specifier)]


@pytest.mark.skipif(not CONSTRAINTS.is_file(), reason="the record stays in the repository")
def test_the_versions_that_passed_are_on_record_and_allowed():
    record = [Requirement(line) for line in CONSTRAINTS.read_text().splitlines()]
    passed = {canonicalize_name(one.name): str(one.specifier)[2:] for one in record}
    assert all(str(one.specifier).startswith("==") for one in record)
    for wanted in requirements():
        version = passed[canonicalize_name(wanted.name)]
        assert wanted.specifier.contains(version), f"{wanted} and {version}"
