"""Results as Markdown and as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tokenexit.errors import UserError
from tokenexit.reporting import results_markdown, results_text

RESULT: dict[str, Any] = {
    "task": "ner",
    "split": "test",
    "n_sentences": 500,
    "n_rows": 7835,
    "metric": "f1",
    "quality": 0.94331,
    "quality_full_depth": 0.9508,
    "mean_exit_layer": 2.28,
    "num_layers": 6,
    "exit_histogram": [42, 22, 15, 10, 6, 5],
    "mac_ratio": 0.404,
    "policy": {"name": "entropy", "threshold": 0.1},
}


def test_markdown_has_a_line_for_each_result():
    lines = results_markdown([RESULT, RESULT | {"split": "validation"}]).splitlines()
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {10}
    assert lines[2] == (
        "| test | `entropy(0.1)` | F1 | 0.9433 | 0.9508 | 99.2% | 2.28 of 6 | 2.63× | 0.404 |"
    )


def test_text_is_readable():
    text = results_text(RESULT)
    assert "F1 0.9433 against 0.9508 at full depth, 99.2% kept" in text
    assert "2.28 of 6 layers, 2.63× fewer" in text
    assert "1: 42%  2: 22%" in text
    assert text.splitlines()[-1].endswith("entropy(0.1)")


def test_one_is_not_several():
    assert "1 word in 1 sentence\n" in results_text(RESULT | {"n_rows": 1, "n_sentences": 1})


def test_another_precision_is_named():
    reduced = RESULT | {"precision": "int8", "full_depth_precision": "fp32"}
    text = results_text(reduced)
    assert "F1 0.9433 in int8 against 0.9508 at full depth in fp32, 99.2% kept" in text
    assert results_markdown([reduced]).endswith("in int8 against full depth in fp32.\n")


def test_the_least_a_result_may_hold():
    least = {k: RESULT[k] for k in ("split", "metric", "quality", "mean_exit_layer")}
    text = results_text(least | {"num_layers": 6, "exit_histogram": [0] * 6})
    assert "full depth" not in text
    assert "compute" not in text


def test_a_result_of_a_run(run: Path):
    splits = json.loads((run / "metrics.json").read_text())["splits"]
    assert results_markdown(list(splits.values())).count("\n") == 4


@pytest.mark.parametrize(
    "change", [{"quality": None}, {"quality": "high"}, {"exit_histogram": 3}], ids=str
)
def test_bad_results(change: dict[str, Any]):
    with pytest.raises(UserError):
        results_text(RESULT | change)
