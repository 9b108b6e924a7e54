"""The oracle in the report and on the terminal."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tokenexit.data.pairs import PairSplit
from tokenexit.decoding import DecodeWork
from tokenexit.errors import UserError
from tokenexit.evaluation.text_trace import TextTrace
from tokenexit.models.generation.generate_texts import GeneratedText
from tokenexit.oracle import Account, Rows, account
from tokenexit.reporting import results_text, write_report
from tokenexit.reporting.oracle_text import oracle_table
from tokenexit.reporting.payers import payers
from tokenexit.reporting.run import load_run

# Five words and three exits: as the oracle; two equal false alarms; late by two; late by one.
WORDS = ["the", "<b>Paris", "<b>Paris", "sea", "the"]
LEFT, ORACLE = [1, 1, 1, 3, 2], [1, 2, 3, 1, 1]
TOP, SAID = [0, 1, 1, 2, 0], [0, 0, 0, 2, 0]
LABELS = ["O", "B-LOC", "I-LOC"]


def as_json(known: Account | None) -> dict[str, Any]:
    assert known is not None
    return asdict(known)


def result(**more: Any) -> dict[str, Any]:
    rows = Rows(np.array(LEFT), np.array(ORACLE), np.array(TOP) != np.array(SAID))
    return {
        "task": "ner", "split": "test", "n_sentences": 1, "n_rows": 5, "metric": "f1",
        "quality": 0.5, "quality_full_depth": 0.8, "mean_exit_layer": 1.6, "num_layers": 3,
        "exit_histogram": [3, 1, 1], "mac_ratio": 0.6, "policy": {"name": "never"},
        "oracle": as_json(account(rows, [LABELS[n] for n in TOP], 3)), **more,
    }  # fmt: skip


@pytest.fixture
def five(tmp_path: Path) -> Path:
    """A run of five words."""
    columns = {
        "text": [0] * 5, "position": list(range(5)), "exit_layer": LEFT, "prediction": SAID,
        "confidence": [0.9] * 5, "gold": TOP, "word": WORDS, "oracle_layer": ORACLE,
        "top_class": TOP, "exit_class": SAID,
    }  # fmt: skip
    (tmp_path / "traces").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "traces" / "test.parquet")
    metrics = {"task": "ner", "labels": LABELS, "num_layers": 3, "splits": {"test": result()}}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    return tmp_path


def test_who_pays_is_read_off_a_trace(five):
    found = payers(load_run(five))
    assert found is not None
    assert (found.total.false_alarms, found.total.late, found.total.layers_lost) == (2, 2, 3)
    assert found.total.reached == pytest.approx((3 - 1.6) / (3 - 1.6))
    assert [(one.label, one.layers_lost) for one in found.classes] == [
        ("I-LOC", 2), ("O", 1), ("B-LOC", 0)
    ]  # fmt: skip
    (alarm,) = found.alarms
    assert (alarm.word, alarm.full, alarm.said, alarm.count) == ("<b>Paris", "B-LOC", "O", 2)
    assert (alarm.left, alarm.oracle) == (1, 2.5)
    assert [(one.word, one.lost) for one in found.late] == [("sea", 2), ("the", 1)]
    assert found.layers == [3, 1, 1]
    assert found.places == [1, 2, 3]
    expected = np.array([[1, 1, 1], [1, 0, 0], [1, 0, 0]])
    assert np.array(found.crossing) * 5 == pytest.approx(expected)


def test_layers_without_an_exit_are_left_out(five):
    (five / "exit_config.json").write_text(json.dumps({"exit_layers": [1, 3]}))
    path = five / "traces" / "test.parquet"
    table = pq.read_table(path).slice(2, 2)
    pq.write_table(table, path)
    found = payers(load_run(five))
    assert found is not None
    assert found.places == [1, 3]
    assert found.crossing == [[0, 0.5], [0.5, 0]]
    assert found.layers == [1, 0, 1]


def test_the_page_shows_it(five):
    page = write_report(five).read_text()
    section = page.split('id="oracle"')[1].split("</section>")[0]
    assert "after 1.60 layers on average" in section
    assert "reaches 100.0% of the saving" in section
    assert "&lt;b&gt;Paris" in section
    assert "<b>Paris" not in page
    assert 'href="#oracle"' in page
    assert "oracle, layer 1.60" in page.split('id="curve"')[1].split("</section>")[0]
    page = re.sub(r' data-label="[^"]*"', "", page)
    results = page.split('id="results"')[1].split("</section>")[0]
    assert "<td>1.60</td><td>100.0%</td>" in results


def test_a_run_without_it_has_no_such_section(run):
    page = write_report(run).read_text()
    assert 'id="oracle"' not in page
    assert "#oracle" not in page
    assert "Oracle's layer" not in page


def test_on_a_terminal():
    lines = results_text(result())
    assert "would let words leave at layer 1.60, 1.88× fewer; 100.0% of its saving" in lines
    assert "2 false alarms (40.00% of 5 words compared); 0 more differ" in lines
    assert "2 words (40.0%) lost 3 layers, 0.60 a word" in lines
    rows = [line.split() for line in oracle_table(result()).strip().splitlines()]
    assert rows[1] == ["I-LOC", "1", "3.00", "1.00", "0.0%", "0", "1", "2", "66.7%"]
    assert [row[0] for row in rows[1:]] == ["I-LOC", "O", "B-LOC", "all"]
    assert rows[-1][1:] == ["5", "1.60", "1.60", "100.0%", "2", "2", "3", "100.0%"]


def test_a_terminal_shows_the_dearest_of_many_classes():
    rows = Rows(np.full(30, 3), np.full(30, 1), np.zeros(30, bool))
    many = as_json(account(rows, [f"class{n}" for n in range(30)], 3))
    shown = oracle_table(result(oracle=many))
    assert "10 more (--json has all)" in shown
    assert shown.count("class") == 20


@pytest.mark.parametrize(
    ("damaged", "told"),
    [
        (3, "oracle should be an object"),
        ({"by_class": []}, "lacks exit_layer"),
        ({"by_class": [], "exit_layer": 1, "depth_speedup": 3}, "oracle.all should be"),
        ({"by_class": [{}], "exit_layer": 1, "depth_speedup": 3, "all": {"rows": 1}}, "lacks"),
        ({"by_class": [], "exit_layer": "x", "depth_speedup": 3}, "should be a number"),
    ],
)
def test_a_damaged_account_is_told(damaged, told):
    with pytest.raises(UserError, match=told):
        results_text(result(oracle=damaged))


def test_tokens(tmp_path):
    """The second text goes another way at its second token; the rest is not compared."""

    def texts(rows: list[tuple[list[str], list[int]]]) -> TextTrace:
        outputs = [GeneratedText("", tokens, layers, []) for tokens, layers in rows]
        return TextTrace([0, 1], outputs, [3, 3], DecodeWork(3), 3)

    cats = ["▁A", "▁cat", "s", "</s>"]
    ours = texts([(["▁The", "▁fox", "</s>"], [1, 3, 1]), (cats, [1, 1, 2, 2])])
    deep = texts([(["▁The", "▁fox", "</s>"], [3, 3, 3]), (["▁A", "▁dog", "</s>"], [3, 3, 3])])
    split = PairSplit(["x", "y"], ["x", "y"], None, "here")
    ours.save(tmp_path / "traces" / "test.parquet", split, deep, [[1, 1, 1], [2, 3, 1]])
    (tmp_path / "exit_config.json").write_text(json.dumps({"exit_layers": [1, 2, 3]}))
    found = payers(load_run(tmp_path))
    assert found is not None
    assert (found.total.rows, found.left_out) == (5, 2)
    assert (found.total.early, found.total.false_alarms, found.total.layers_lost) == (2, 1, 2)
    assert [(one.full, one.said) for one in found.alarms] == [("dog", "cat")]
    assert [(one.word, one.lost) for one in found.late] == [("fox", 2)]
    assert {one.label: one.rows for one in found.classes} == {
        "word": 2, "capitalised word": 2, "special": 1
    }  # fmt: skip
    page = write_report(tmp_path).read_text()
    assert "2 come after it and are left out here" in page


def test_a_trace_that_does_not_fit_is_told(five):
    path = five / "traces" / "test.parquet"
    table = pq.read_table(path)
    pq.write_table(table.set_column(7, "oracle_layer", pa.array([0] * 5)), path)
    with pytest.raises(UserError, match="oracle_layer"):
        write_report(five)
