"""What an index of packages shows: addresses, and a README whose links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
HOME = "https://example.org/tokenexit"


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``hatch_build.py``, whose own needs are installed where wheels are built alone."""
    for name, interface in (
        ("hatchling.builders.hooks.plugin.interface", "BuildHookInterface"),
        ("hatchling.metadata.plugin.interface", "MetadataHookInterface"),
    ):
        module = ModuleType(name)
        setattr(module, interface, type(interface, (), {}))
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.mark.parametrize(
    ("given", "whole", "alone"),
    [
        ("[a](docs/a.md)", f"[a]({HOME}/blob/main/docs/a.md)", "a"),
        ("[`a`](docs/a.md#b)", f"[`a`]({HOME}/blob/main/docs/a.md#b)", "`a`"),
        ("[b](#b)", f"[b]({HOME}#b)", "b"),
        ("![c](c.png) d", f"![c]({HOME}/raw/main/c.png) d", " d"),
        ("[![c](c.png)](d)", f"[![c]({HOME}/raw/main/c.png)]({HOME}/blob/main/d)", ""),
        ("[e](https://e.org)", "[e](https://e.org)", "[e](https://e.org)"),
        ("`f[0](x)`", "`f[0](x)`", "`f[0](x)`"),
        ("```py\nf[0](x)\n```", "```py\nf[0](x)\n```", "```py\nf[0](x)\n```"),
    ],
)
def test_links(build, given, whole, alone):
    assert build.without_relative_links(given, HOME) == whole
    assert build.without_relative_links(given, None) == alone


@pytest.mark.parametrize("address", [HOME, None])
def test_no_link_of_the_readme_breaks(build, address):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = build.without_relative_links(readme, address)
    prose = re.sub(r"```.*?```|`[^`\n]+`", "", shown, flags=re.DOTALL)
    assert not re.findall(r"\]\((?!https?://|mailto:)[^)]*\)", prose)
    assert not re.findall(r"^\[[^\]]+\]: *(?!https?://)\S+", prose, flags=re.MULTILINE)
    assert not re.findall(r"(?:src|srcset|href)=[\"'](?!https?://)[^\"']*", prose)


def test_addresses_are_those_of_the_citation(build, tmp_path):
    citation = tmp_path / "CITATION.cff"
    citation.write_text(f'title: x\nrepository-code: "{HOME}/"\n', encoding="utf-8")
    (tmp_path / "README.md").write_text("[a](b.md)", encoding="utf-8")
    hook, metadata = build.AddressesHook(), {}
    hook.root = str(tmp_path)
    hook.update(metadata)
    assert set(metadata["urls"]) == {"Homepage", "Documentation", "Issues", "Changelog"}
    assert all(url.startswith(HOME) for url in metadata["urls"].values())
    assert metadata["readme"]["text"] == f"[a]({HOME}/blob/main/b.md)"
    citation.write_text("title: x\n", encoding="utf-8")
    hook.update(metadata)
    assert metadata["urls"] == {}
