"""A tagger whose policy keeps a promise, with its certificate, and what changes files of it.

Fixtures for several files of tests, loaded by path because tests are no package.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

_path = Path(__file__).parents[1] / "workflows" / "trained.py"
_spec = importlib.util.spec_from_file_location("trained", _path)
assert _spec is not None
assert _spec.loader is not None
_trained = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_trained)
_no_accelerator_left = _trained._no_accelerator_left
corpus, trained_run, own_run = _trained.corpus, _trained.trained_run, _trained.own_run

PROMISE = "differs <= 0.3 with 80%"


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def changed(path, change):
    data = read(path)
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")


@pytest.fixture(scope="module")
def calibrated(trained_run, corpus, tmp_path_factory):
    """A run whose policy keeps a promise; not to be changed."""
    import typer
    from typer.testing import CliRunner

    from tokenexit.cli.calibrate import calibrate

    folder = tmp_path_factory.mktemp("certified") / "run"
    shutil.copytree(trained_run, folder, ignore=shutil.ignore_patterns("checkpoints"))
    app = typer.Typer()
    app.command()(calibrate)
    told = ["--data", corpus, "--promise", PROMISE, "--policy", "entropy", "--list-from", "train"]
    done = CliRunner().invoke(app, [str(one) for one in (folder, *told)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "derives it anew" in done.output
    return folder


@pytest.fixture
def own(calibrated, tmp_path):
    """A copy that may be changed."""
    return Path(shutil.copytree(calibrated, tmp_path / "run"))
