"""The commands of ``docs/promises.md`` and of the README run as they are written."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "promises.md"
pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="docs/ is not installed")

_path = Path(__file__).parents[1] / "workflows" / "trained.py"
_spec = importlib.util.spec_from_file_location("trained", _path)
assert _spec is not None
assert _spec.loader is not None
_trained = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_trained)
_no_accelerator_left = _trained._no_accelerator_left
corpus, trained_run = _trained.corpus, _trained.trained_run


def test_make_test_again_and_watch(trained_run, corpus, tmp_path, monkeypatch, cli):
    own = tmp_path / "RUN"
    shutil.copytree(trained_run, own, ignore=shutil.ignore_patterns("checkpoints"))
    (tmp_path / "D").symlink_to(corpus)
    (tmp_path / "texts.txt").write_text("Ada was born in London .\n" * 20)
    monkeypatch.chdir(tmp_path)
    block = re.search(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    commands = [line for line in block[1].splitlines() if not line.startswith("#")]
    said = {}
    for line in commands:
        name, command, *rest = shlex.split(line)
        assert name == "tokenexit"
        # Loose enough for so few texts to let somebody leave.
        given = [one.replace("0.05 with", "0.5 with").replace("0.1 with", "0.6 with")
                 for one in rest]  # fmt: skip
        done = cli(command, *given)
        assert done.code == 0, (line, done.err)
        said[line] = done
    assert {line.split()[1] for line in commands} == {"calibrate", "certify", "predict", "audit"}
    again = next(done for line, done in said.items() if "--rerun" in line)
    assert "0 of 47 texts come out otherwise" in again.out
    assert json.loads((own / "certificate.json").read_text())["certified"] == 1


def test_the_promise_of_the_readme(trained_run, corpus, tmp_path, monkeypatch, cli, caplog):
    own = tmp_path / "runs" / "mine"
    shutil.copytree(trained_run, own, ignore=shutil.ignore_patterns("checkpoints"))
    (tmp_path / "FOLDER").symlink_to(corpus)
    (tmp_path / "text.txt").write_text("Ada was born in London .\n")
    monkeypatch.chdir(tmp_path)
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    calibrate, predict = (
        next(line for line in lines if line.startswith(f"tokenexit {command} "))
        for command in ("calibrate", "predict")
    )
    promise = shlex.split(calibrate)[-1]
    assert "--promise" in calibrate
    said = cli(*shlex.split(calibrate)[1:])
    assert said.code == 0, said.err
    assert promise in said.out
    assert "cannot be promised on 45 texts: " in caplog.text
    assert cli(*shlex.split(predict)[1:]).code == 0
