"""Calibrations by the thousand: of traces of a run, and many at once as one by one."""

from __future__ import annotations

import importlib.util
import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tokenexit.guarantees import FixedSequence, parse

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
def script(monkeypatch):
    """Import a script as ``python benchmarks/NAME.py`` would."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module


@pytest.mark.parametrize(
    "text",
    [
        "differs <= 0.1 and f1 kept >= 0.97",
        "token accuracy kept >= 0.9",
        "words changed <= 0.1 and layers saved >= 1.2",
        "every class differs <= 0.3",
    ],
)
def test_draws_at_once_are_those_of_the_sequence(text, script):
    promises, draws = script("promises"), script("promise_draws")
    known, asked = promises.made(3000, 1, settings=5), parse(text)
    drawn = np.random.default_rng(0).integers(0, 3000, (12, 400))
    found = draws.last_passed(asked, known.full, known.settings, drawn)
    for kept, texts in zip(found, drawn, strict=True):
        sequence = FixedSequence(asked, promises.take(known.full, texts), np.arange(400))
        settings = [promises.take(one, texts) for one in known.settings]
        passed, _ = sequence.last(settings)
        assert kept == sequence.afterwards(settings[:passed])[0]
    assert found.max() > 0


def test_promises_are_seldom_broken(script):
    promises = script("promises")
    known = promises.made(4000, 0)
    for text in ("f1 kept >= 0.99", "token accuracy kept >= 0.995", "brier loss <= 0.02"):
        for texts in (300, 1000):
            found = promises.calibrations(known, text, texts, 200, 0)
            assert found["kept_seldom_enough"], found
            assert 1 <= found["saved"] < found["best"]


def test_more_texts_save_more(script):
    # What may be lost at most grows only where there are texts for it.
    promises = script("promises")
    known = promises.made(6000, 0)
    saved = [
        promises.calibrations(known, "f1 kept >= 0.98", n, 100, 0)["saved"]
        for n in (100, 300, 500, 800, 1600)
    ]
    assert all(more > less - 0.03 for less, more in pairwise(saved)), saved
    assert saved[-1] > saved[0]


@pytest.mark.parametrize("engine", [[], ["--engine"]])
def test_traces_of_a_run_are_resampled(engine, trained_run, corpus, tmp_path, script, capsys):
    promises, out = script("promises"), tmp_path / "traces.parquet"
    asked = ["--promises", "differs <= 0.3 with 60%", "--sizes", "20", "--draws", "5"]
    told = ["--run", str(trained_run), "--data", str(corpus), "--grid", "3", *engine]
    promises.main([*told, "--traces", str(out), *asked])
    shown = capsys.readouterr().out
    promises.main(["--traces", str(out), *asked])
    assert capsys.readouterr().out == shown
    population = promises.read(out)
    assert population.size == 92  # validation and test
    assert population.lists["differs <= 0.3 with 60%"]


def test_figures_of_the_page_are_those_recorded():
    results = SCRIPTS / "results"
    told, page = {}, (SCRIPTS.parent / "docs" / "promises.md").read_text(encoding="utf-8")
    for line in page.splitlines():
        found = re.fullmatch(r"\| (\w+): `(.+)` \| (.+) \|", line)
        if found:
            told[found[1], found[2]] = found[3].split(" | ")
    assert len(told) > 8
    for (name, promise), (best, *cells) in told.items():
        path = results / ("promises.json" if name == "made" else f"promises_of_runs/{name}.json")
        rows = json.loads(path.read_text(encoding="utf-8"))["calibrations"]
        rows = {row["texts"]: row for row in rows if row["promise"] == promise}
        here = [rows[texts] for texts in (100, 300, 600, 1000, 5000)]
        assert best == f"{here[0]['best']:.2f}x"
        assert cells == [f"{row['saved']:.2f}x, {row['broken']:.1%}" for row in here]


def test_no_recorded_promise_was_broken_too_often():
    paths = [*(SCRIPTS / "results" / "promises_of_runs").glob("*.json")]
    rows = [
        row
        for path in [SCRIPTS / "results" / "promises.json", *paths]
        for row in json.loads(path.read_text(encoding="utf-8"))["calibrations"]
    ]
    assert len(rows) > 200
    assert max(row["broken"] for row in rows) <= 0.1
    f1 = {
        row["texts"]: row
        for row in json.loads((SCRIPTS / "results/promises_of_runs/bc5cdr.json").read_text())[
            "calibrations"
        ]
        if row["promise"] == "f1 kept >= 0.99"
    }
    # Where the best setting saves 3.25x.
    assert (f1[600]["saved"] >= 2.6, f1[5000]["saved"] >= 2.8) == (True, True)
