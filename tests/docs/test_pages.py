"""Links, marks, commands and messages of the pages, without the tool that makes the site."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="docs/ is not installed")


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def hooks() -> ModuleType:
    return loaded(DOCS / "theme" / "hooks.py")


def prose(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


@functools.cache
def anchors(page: Path) -> set[str]:
    """Names of its headings, as GitHub and mkdocs make them."""
    found = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", one)) for one in found)
    return {one.strip().lower().replace(" ", "-") for one in plain}


def test_links_lead_somewhere(page):
    for to, anchor in re.findall(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)", prose(page)):
        target = (page.parent / to) if to else page
        assert target.exists(), to
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{to}#{anchor}"


def test_links_lead_somewhere_on_the_site_too(page, hooks):
    name = page.relative_to(ROOT).as_posix()
    here, places = hooks.place_of(name), set(hooks.outside().values())
    places |= {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.*")}
    told = re.sub(r"```.*?```", "", hooks.relinked(page.read_text("utf-8"), name), flags=re.DOTALL)
    for to in re.findall(r"\]\((?!\w+:)([^)#\s]+)", told):
        assert (Path(here).parent / to).as_posix() in places or _normal(here, to) in places, to


def _normal(here: str, to: str) -> str:
    parts = [*Path(here).parent.parts]
    for part in Path(to).parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)


def test_files_that_are_no_pages_lead_into_the_repository_where_it_is_known(hooks):
    text = "[test](../tests/conftest.py) `[a](b)` [gates](context_gates.md)"
    kept = "test `[a](b)` [gates](context_gates.md)"
    assert hooks.relinked(text, "docs/clock.md") == kept
    known = hooks.relinked(text, "docs/clock.md", "https://there.example/it/")
    assert "[test](https://there.example/it/blob/main/tests/conftest.py)" in known


def test_every_page_has_its_place_on_the_site(hooks):
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))

    def leaves(nav: Any) -> list[str]:
        if isinstance(nav, str):
            return [nav]
        return [
            leaf
            for part in (nav.values() if isinstance(nav, dict) else nav)
            for leaf in leaves(part)
        ]

    listed = leaves(settings["nav"])
    assert len(listed) == len(set(listed))
    places = {hooks.place_of(path.relative_to(ROOT).as_posix()) for path in DOCS.rglob("*.md")}
    assert set(listed) == places | set(hooks.NAMED.values())


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_bytes()) < 9_000


def test_the_reference_names_what_there_is():
    for block in (DOCS / "api.md").read_text("utf-8").split("\n::: ")[1:]:
        name, members = block.split()[0], re.search(r"members: \[(.*)\]", block)
        module, _, member = name.rpartition(".")
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            there = getattr(importlib.import_module(module), member)
            assert there.__doc__, name
            asked = re.findall(r"\w+", members[1]) if members else []
            assert not [one for one in asked if not hasattr(there, one)]


def test_messages_of_the_troubleshooting_page_are_ours():
    told = re.findall(
        r"^\*\*`([^`]+)`\*\* —", (DOCS / "troubleshooting.md").read_text("utf-8"), re.M
    )
    assert len(told) > 8
    said = [path.read_text(encoding="utf-8") for path in (ROOT / "tokenexit").rglob("*.py")]
    missing = [one for one in told if not any(one in text for text in said)]
    assert not missing


@functools.cache
def commands() -> dict[str, set[str]]:
    """Options of every command."""
    from tokenexit.cli import app

    group = typer.main.get_command(app)
    return {
        name: {option for one in command.params for option in [*one.opts, *one.secondary_opts]}
        for name, command in group.commands.items()  # type: ignore[attr-defined]
    }


def test_commands_have_the_options_that_pages_give_them(page, blocks_of):
    known = commands()
    lines = "\n".join(blocks_of(page, "bash")).replace("\\\n", " ").splitlines()
    for line in lines:
        for command, rest in re.findall(r"\btokenexit ([a-z][a-z-]*)([^#|;&]*)", line):
            assert command in known, line
            asked = {
                option.partition("=")[0] for option in re.findall(r"(?<=\s)--[a-z][\w-]*", rest)
            }
            assert asked <= {*known[command], "--help"}, line
    for script in re.findall(
        r"\bpython ((?:recipes|benchmarks|data_scripts)/\w+\.py)", "\n".join(lines)
    ):
        assert (ROOT / script).is_file(), script


def test_trainings_have_the_keys_that_pages_give_them(page, blocks_of):
    from tokenexit.errors import UserError
    from tokenexit.workflows.recipes import trainable
    from tokenexit.workflows.train import configured

    wrong = []
    lines = "\n".join(blocks_of(page, "bash")).replace("\\\n", " ").splitlines()
    for line in filter(re.compile(r"tokenexit train |python recipes/").search, lines):
        words = [word for word in shlex.split(line, comments=True) if word != "..."]
        start = next(i for i, word in enumerate(words) if word == "train" or "recipes/" in word)
        named = words[start] != "train"
        task = Path(words[start]).stem if named else words[start + 1]
        given = words[start + 2 - named :]
        if task in trainable() and not {"--help", "&&"} & set(given):
            try:
                configured(task, given)
            except UserError as error:
                wrong.append(f"{line}: {error}")
    assert not wrong
