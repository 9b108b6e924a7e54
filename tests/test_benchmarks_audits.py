"""Audits measured: streams at once are as one by one, and a run is served both ways."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from tokenexit.audit import Detector

SCRIPTS = Path(__file__).parents[1] / "benchmarks"
pytestmark = pytest.mark.skipif(not SCRIPTS.is_dir(), reason="benchmarks are not installed")

_spec = importlib.util.spec_from_file_location(
    "trained", Path(__file__).parent / "workflows" / "trained.py"
)
assert _spec is not None
assert _spec.loader is not None
_trained = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_trained)
_no_accelerator_left = _trained._no_accelerator_left
corpus, trained_run = _trained.corpus, _trained.trained_run


@pytest.fixture
def audits(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("audits")


def test_streams_at_once_are_as_the_detector(audits):
    one = Detector.of_more(0.1, 30.0)
    rng, seen = np.random.default_rng(4), one
    numbers = [float(rng.random(1)[0] < (0.1 if n < 50 else 0.4)) for n in range(400)]
    for place, number in enumerate(numbers):
        seen = seen.saw(number)
        if place < 50:
            seen = seen.anew() if seen.alarm else seen
        elif seen.alarm:
            break
    found = audits.run_lengths(one, 1, 0.4, 350, seed=4, before=0.1, good=50)
    assert list(found) == [place - 49]


def test_what_watching_costs_is_measured(audits, trained_run, corpus, tmp_path, capsys):
    out = tmp_path / "audits.json"
    told = ["--run", str(trained_run), "--data", str(corpus), "--streams", "20"]
    audits.main([*told, "--rounds", "2", "--block", "16", "--rate", "0.5", "--out", str(out)])
    shown = capsys.readouterr().out
    [cost] = json.loads(out.read_text())["costs"]
    assert (cost["texts"], 0 < cost["audited"] < 32) == (32, True)
    audits.main(["--table", str(out)])
    assert capsys.readouterr().out == shown
    assert "audited at" in shown
