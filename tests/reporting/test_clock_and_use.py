"""The clock of a report, its scores by type, and its lines to copy."""

from __future__ import annotations

import html as entities
import json
from pathlib import Path

import pytest

from tokenexit.reporting import write_report
from tokenexit.reporting.classes import class_depths
from tokenexit.reporting.panels.clock import verdict
from tokenexit.reporting.run import load_run
from tokenexit.tasks import labelled_task


def section(run: Path, ident: str) -> str:
    page = write_report(run).read_text(encoding="utf-8")
    return page.split(f'id="{ident}"')[1].split("</section>")[0]


def test_engine_and_exits_apart(run: Path):
    clock = section(run, "clock")
    assert "4.00× as fast as plain transformers; the engine alone gives 2.00×, exits 2.00×" in clock
    assert "A processor, AVX2, 1 thread, cpu, fp32" in clock
    assert "not timed: &lt;i&gt;not installed&lt;/i&gt;" in clock
    assert "Timed with another policy" not in clock
    figures = write_report(run).read_text().split('class="figures"')[1].split("</main>")[0]
    assert "6.00\N{NO-BREAK SPACE}ms" in figures


def test_exits_that_do_not_pay_are_told(run: Path):
    path = run / "bench.json"
    data = json.loads(path.read_text())
    data |= {"policy_speedup": 0.71, "policy": {"name": "entropy", "threshold": 0.5}}
    other = {"name": "other engine", "precision": "fp32", "ms_per_text": 3.0}
    data["rows"].append(other)
    path.rename(run / "bench-1.json").write_text(json.dumps(data | {"batch_size": 1}))
    (bench,) = load_run(run).benches
    assert "Exits do not pay here: full depth is faster." in verdict(bench)
    assert "The fastest of the others, other engine, takes 3.00\N{NO-BREAK SPACE}ms: 0.50×" in (
        verdict(bench)
    )
    clock = entities.unescape(section(run, "clock"))
    assert "Texts one by one" in clock
    assert "Timed with another policy than the model's: entropy below 0.5." in clock


def test_types_are_scored_as_the_task_scores_them(run: Path):
    data = load_run(run)
    rows, gold = class_depths(data)
    words, names = data.words, (data.metrics or {})["labels"]
    assert gold
    assert words is not None
    assert {row.label for row in rows} == {"PER", "LOC", "ORG", "PROD", "DATE"}
    found = labelled_task("ner").graded(words.prediction, words.gold, words.text, names)
    true = sum(row.true or 0 for row in rows)
    right = sum((row.recall or 0) * (row.true or 0) for row in rows)
    assert right / true == pytest.approx(found["recall"])
    assert all(sum(row.shares) == pytest.approx(1) for row in rows)
    assert "Precision</th><th>Recall</th><th>F1</th>" in section(run, "classes")


def test_version_and_day_are_those_of_the_results(run: Path):
    first = write_report(run).read_text()
    assert "<dt>tokenexit</dt><dd>1.2.3</dd>" in first
    assert "<dt>measured on</dt><dd>2026-01-31</dd>" in first
    assert write_report(run).read_text() == first
    metrics = json.loads((run / "metrics.json").read_text())
    del metrics["made"]
    (run / "metrics.json").write_text(json.dumps(metrics))
    assert "<dt>measured on</dt>" not in write_report(run).read_text()


def test_a_run_without_a_model_has_nothing_to_copy(run: Path):
    assert 'id="use"' not in write_report(run).read_text()
