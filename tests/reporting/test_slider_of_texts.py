"""The slider of a generator: its texts change with the threshold."""

from __future__ import annotations

from pathlib import Path

from tokenexit.decoding import DecodeWork
from tokenexit.evaluation.curve import CurveRow
from tokenexit.evaluation.setting_traces import SettingTraces
from tokenexit.evaluation.text_trace import TextTrace
from tokenexit.models.generation.generate_texts import GeneratedText
from tokenexit.reporting import write_report
from tokenexit.reporting.run import load_run
from tokenexit.reporting.stops import SPACED, WRONG, slider_of

DEEP = ["▁The", "▁old", "▁pub", "</s>"]
EARLY = ["▁The", "▁p", "ub", "</s>"]


def trace(tokens: list[str], layer: int) -> TextTrace:
    outputs = [GeneratedText("", tokens, [layer] * len(tokens), []) for _ in range(2)]
    return TextTrace([0, 1], outputs, [3, 3], DecodeWork(3), 3)


def point(kind: str, name: str) -> CurveRow:
    return CurveRow(kind, f'{{"name": "{name}"}}', name, None, "test", 0.5, 1.0, 2.0, 1.5, 0.7)


def test_texts_are_written_anew(tmp_path: Path):
    deep, early, kept = trace(DEEP, 3), trace(EARLY, 1), SettingTraces()
    deep.save(tmp_path / "traces" / "test.parquet", None, deep)
    kept.add(point("full", "never"), deep)
    kept.add(point("static", "assigned_depth"), early)
    kept.add(point("engine", "margin"), early)
    kept.save(tmp_path / "traces" / "settings.parquet")
    slider = slider_of(load_run(tmp_path))
    assert slider is not None
    assert [stop.name for stop in slider.stops] == [
        "nobody leaves early", "best class ahead of the second by more than 0.8"
    ]  # fmt: skip
    full, first = (stop.lines for stop in slider.stops)
    assert full is not None
    assert first is not None
    assert [cell[3:] for cell in full[0]] == [
        ["The", "▁The"], ["old", "▁old"], ["pub", "▁pub"], ["</s>", "</s>"]
    ]  # fmt: skip
    assert [bool(cell[1] & WRONG) for cell in full[0]] == [False] * 4
    assert [(cell[0], cell[3], bool(cell[1] & WRONG)) for cell in first[1]] == [
        (1, "The", False), (1, "p", True), (1, "ub", True), (1, "</s>", False)
    ]  # fmt: skip
    assert [bool(cell[1] & SPACED) for cell in first[1]][:3] == [False, True, False]
    assert slider.notes[first[0][1][2]] == "left at layer 1 of 3\nfull depth writes: old pub"
    assert 'id="threshold"' in write_report(tmp_path).read_text()
