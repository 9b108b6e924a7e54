"""The slider of a report: what it stops at, and what the page's script is given."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tokenexit.errors import UserError
from tokenexit.reporting import write_report
from tokenexit.reporting.heatmap import heat_map
from tokenexit.reporting.run import load_run
from tokenexit.reporting.stops import WRONG, slider_of
from tokenexit.reporting.time_by_depth import times_by_depth

Make = Callable[..., Path]
MINE = json.dumps({"name": "window(entropy, 3)", "threshold": 0.13})


def test_stops_run_from_full_depth_to_the_earliest_exits(run: Path):
    data = load_run(run)
    slider = slider_of(data)
    assert slider is not None
    assert [stop.name for stop in slider.stops] == [
        "nobody leaves early", "window(entropy, 3)(0.13)", "window(entropy, 3)(0.9)",
    ]  # fmt: skip
    assert slider.heads == [
        "F1", "Kept", "Mean exit layer", "MACs", "Time a text, in batches of 32"
    ]  # fmt: skip
    full, *_ = slider.stops
    assert full.figures == ["0.9508", "100.0%", "6.00 of 6", "1.00", "≈ 12.0\N{NO-BREAK SPACE}ms"]


def test_words_leave_as_at_that_setting(run: Path):
    data = load_run(run)
    slider = slider_of(data)
    lines = [line for group in heat_map(data) for line in group.lines]
    assert slider is not None
    full, _, first = (stop.lines for stop in slider.stops)
    assert full is not None
    assert first is not None
    assert [len(line) for line in first] == [len(line.cells) for line in lines]
    assert {cell[0] for line in full for cell in line} == {6}
    assert {cell[0] for line in first for cell in line} == {1}
    assert not any(cell[1] & WRONG for line in full for cell in line)
    words = data.words
    assert words is not None
    start, end = next((a, b) for a, b in words.bounds if words.text[a] == lines[0].number)
    wrong = [bool(cell[1] & WRONG) for cell in first[0]]
    assert wrong == (words.gold[start:end] != 0).tolist()  # all are said to be O
    note = str(slider.notes[full[0][0][2]])
    assert note.startswith("predicted ")
    assert note.endswith("left at layer 6 of 6")


def test_the_model_s_own_setting_is_not_told_twice(run: Path):
    metrics = json.loads((run / "metrics.json").read_text())
    row = next(point for point in load_run(run).pareto or [] if point.policy == MINE)
    metrics["splits"]["test"] |= {"quality": row.quality, "mean_exit_layer": row.depth}
    (run / "metrics.json").write_text(json.dumps(metrics))
    slider = slider_of(load_run(run))
    assert slider is not None
    assert slider.start == 1
    assert [stop.lines is None for stop in slider.stops] == [False, True, False]


def test_times_are_on_the_line_through_those_measured(run: Path):
    (line,) = times_by_depth(load_run(run))
    assert line.at(6) == pytest.approx(12)
    assert line.at(line.depth) == pytest.approx(6)
    assert line.ms_a_layer == pytest.approx(6 / (6 - line.depth))
    assert line.at(-100) is None
    (run / "bench.json").unlink()
    assert times_by_depth(load_run(run)) == []
    html = write_report(run).read_text()
    assert "For times, run tokenexit bench RUN --json RUN/bench.json." in html


def test_a_calibration_by_the_clock_gives_times_too(run: Path):
    (run / "bench.json").unlink()
    found = json.loads((run / "calibration.json").read_text())
    found["chosen"] = {"mean_exit_layer": 2.0, "n_sentences": 9}
    policy = {"name": "entropy", "threshold": 0.1}
    found["timing"] = {"batch_size": 8, "pays": True, "rows": [
        {"name": "full depth", "ms": 9.0, "policy": {"name": "never"}},
        {"name": "policy", "ms": 5.0, "policy": policy, "chosen": True},
    ]}  # fmt: skip
    (run / "calibration.json").write_text(json.dumps(found))
    (line,) = times_by_depth(load_run(run))
    assert (line.ms_a_layer, line.at(3)) == (1.0, 6.0)
    clock = write_report(run).read_text().split('id="clock"')[1].split("</section>")[0]
    assert "<th>Timed in turns</th>" in clock
    assert "entropy below 0.1" in clock
    assert "9.00\N{NO-BREAK SPACE}ms" in clock


def test_traces_of_another_run_are_told(run: Path):
    path = run / "traces" / "settings.parquet"
    rows = [row for row in pq.read_table(path).to_pylist() if row["position"]]
    pq.write_table(pa.Table.from_pylist(rows), path)
    with pytest.raises(UserError, match="not of the same texts"):
        write_report(run)


@pytest.mark.parametrize("rows", [0, 3])
def test_traces_of_hardly_anything_make_no_slider(run: Path, rows: int):
    path = run / "traces" / "settings.parquet"
    pq.write_table(pq.read_table(path).slice(0, rows), path)
    assert 'id="threshold"' not in write_report(run).read_text()


def embedded(html: str) -> dict:
    found = re.search(r'<script type="application/json" id="stops">(.*?)</script>', html, re.S)
    assert found is not None
    return json.loads(found[1])


def test_the_page_holds_what_the_script_reads_and_no_more(make_run: Make):
    evil = "</script><script>alert(1)</script>"
    texts = [[(evil, 1), *((f"word{n}" * 9, n % 5) for n in range(120))] for _ in range(400)]
    html = write_report(make_run(texts=texts, layers=30)).read_text()
    assert "<script>alert" not in html
    assert len(html) < 1_500_000
    data = embedded(html)
    assert len(data["stops"]) == 3
    assert all(len(stop["lines"]) == html.count('class="words"') for stop in data["stops"])
