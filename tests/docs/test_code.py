"""Python of the README and of every page runs as it is written, in the order of the page."""

from __future__ import annotations

import re
import runpy
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tokenexit.policies import POLICIES
from tokenexit.tasks import TASKS
from tokenexit.training.preparations import PREPARATIONS

ROOT = Path(__file__).parents[2]
WORDS = "Ada Lovelace was born in London . The book was in the garden of Jordan".split()


@pytest.fixture
def here(place, tmp_path, monkeypatch):
    """A working folder with the models, and registries that forget what a page registers."""
    shutil.copytree(place, tmp_path, dirs_exist_ok=True, symlinks=True)
    monkeypatch.chdir(tmp_path)
    for registry in (POLICIES, PREPARATIONS, TASKS):
        registry.items()  # its own members come first
        monkeypatch.setattr(registry, "_members", dict(registry._members))
    return tmp_path


def test_code_runs(coded, here, blocks_of):
    names: dict[str, Any] = {"__name__": __name__}  # dataclasses look it up
    for code in blocks_of(coded, "python"):
        exec(compile(code, coded.name, "exec"), names)
    for name in [name for name in names if name.startswith("test_")]:
        names[name]()


def test_the_readmes_output_has_the_shape_it_shows(here, blocks_of, capsys):
    code = next(code for code in blocks_of(ROOT / "README.md", "python") if "predict" in code)
    exec(compile(code, "README.md", "exec"), {})
    assert re.fullmatch(r"\[[1-6](, [1-6]){13}\]", capsys.readouterr().out.splitlines()[-1])


def test_a_policy_in_a_users_file_serves_a_recipe_by_name(here, blocks_of, monkeypatch):
    page = ROOT / "docs" / "extend.md"
    code = next(code for code in blocks_of(page, "python") if "POLICIES.register" in code)
    assert len(code.strip().splitlines()) < 15
    told = page.read_text(encoding="utf-8")
    command = next(iter(re.findall(r"`(python [^`]*plugins=\[[^`]*)`", told)))
    (here / "shallow_lookup.py").write_text(code, encoding="utf-8")
    rows = [
        f'{{"tokens": {list(map(str, WORDS[i:]))!r}, "ner_tags": {["O"] * len(WORDS[i:])!r}}}'
        for i in range(8)
    ]
    rows[0] = rows[0].replace("'O', 'O'", "'B-PER', 'I-PER'", 1)
    (here / "data").mkdir()
    for name in ("train", "validation", "test"):
        text = "\n".join(rows).replace("'", '"')
        (here / "data" / f"{name}.jsonl").write_text(text, encoding="utf-8")
    small = "{model_type: bert, hidden_size: 16, num_hidden_layers: 3, num_attention_heads: 2}"
    extra = ["data=data", f"model={small}", "train.max_steps=2", "output_dir=runs/mine"]
    monkeypatch.setattr(sys, "argv", ["ner.py", *command.split()[2:], *extra])
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    runpy.run_path(str(ROOT / "recipes" / "ner.py"), run_name="__main__")
    assert "shallow_lookup" in (here / "runs" / "mine" / "exit_config.json").read_text()
