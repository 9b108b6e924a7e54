"""The trained tagger of ``trained.py``."""

from __future__ import annotations

import html
import importlib.util
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tokenexit.cli import app

_path = Path(__file__).with_name("trained.py")
_spec = importlib.util.spec_from_file_location("trained", _path)
assert _spec is not None
assert _spec.loader is not None
_trained = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_trained)

_no_accelerator_left = _trained._no_accelerator_left
corpus, splits = _trained.corpus, _trained.splits
trained_run, own_run, tagger = _trained.trained_run, _trained.own_run, _trained.tagger
small_bert, model_key = _trained.small_bert, _trained.model_key


@pytest.fixture
def try_lines(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], dict[str, Any]]:
    """Does what the report of a run says about using its model; gives what the command wrote."""

    def run_them(run: Path) -> dict[str, Any]:
        page = (run / "report.html").read_text(encoding="utf-8")
        python, shell = (
            html.unescape(re.findall(f'<code class="{kind}">(.*?)</code>', page, re.DOTALL)[0])
            for kind in ("python", "shell")
        )
        monkeypatch.chdir(run.parent)
        exec(compile(python, "report.html", "exec"), {})
        predict, bench = shell.splitlines()
        echo, text, bar, name, *told = shlex.split(predict)
        assert (echo, bar, name) == ("echo", "|", "tokenexit")
        found = CliRunner().invoke(app, told, input=text + "\n")
        assert found.exit_code == 0, found.output
        saved = f"{run.name}/bench.json"
        assert shlex.split(bench) == ["tokenexit", "bench", run.name, "--json", saved]
        return json.loads(found.stdout)

    return run_them
