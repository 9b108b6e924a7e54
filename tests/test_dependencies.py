"""A release that warns cannot turn the set-up red, and the versions that passed are on record."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tokenexit.extras import LIBRARIES

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONSTRAINTS = ROOT / ".ci" / "constraints.txt"
EXTRAS = PROJECT["project"]["optional-dependencies"]


def extra(name: str) -> list[Requirement]:
    """What an extra brings, those that it names included."""
    stated = [*map(Requirement, EXTRAS[name])]
    own = {other for one in stated if one.name == "tokenexit" for other in one.extras}
    found = [one for one in stated if one.name != "tokenexit"]
    return found + [one for other in sorted(own) for one in extra(other)]


def requirements() -> list[Requirement]:
    return [*map(Requirement, PROJECT["project"]["dependencies"]), *extra("test")]


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


def test_messages_about_missing_libraries_name_extras_that_bring_them():
    for package, _, name in LIBRARIES.values():
        assert package in {one.name for one in extra(name)}


def test_predicting_needs_no_optional_library():
    base = {Requirement(one).name for one in PROJECT["project"]["dependencies"]}
    assert not base & {package for package, _, _ in LIBRARIES.values()}
