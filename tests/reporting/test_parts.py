"""What the report is made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tokenexit.reporting import palette
from tokenexit.reporting.candidates import tried
from tokenexit.reporting.charts import Line, Point, axis, line_chart
from tokenexit.reporting.charts.axis import nice_ticks
from tokenexit.reporting.classes import class_depths, entity_depths
from tokenexit.reporting.curve import curve_of
from tokenexit.reporting.heatmap import heat_map
from tokenexit.reporting.progress import MOST, progress_of
from tokenexit.reporting.reliability import reliability
from tokenexit.reporting.run import load_run
from tokenexit.reporting.sample import SAMPLE
from tokenexit.reporting.word_trace import WordTrace
from tokenexit.wording.naming import policy_text

Make = Callable[..., Path]


def words(confidence: list[float], right: list[bool], layer: list[int] | None = None) -> WordTrace:
    count = len(confidence)
    return WordTrace(
        text=np.zeros(count, dtype=np.int64),
        position=np.arange(count),
        exit_layer=np.array(layer or [1] * count),
        prediction=np.ones(count, dtype=np.int64),
        confidence=np.array(confidence),
        gold=np.array([1 if yes else 0 for yes in right], dtype=np.int64),
        word=["w"] * count,
    )


def test_ece_by_hand():
    found = reliability(words([0.9] * 10 + [0.5] * 10, [True] * 9 + [False] + [True] * 10))
    assert found[0].ece == pytest.approx(0.5 * 0.0 + 0.5 * 0.5)
    assert [b.count for b in found[0].bins] == [10, 10]


def test_confidence_of_exactly_one_falls_in_the_last_bin():
    assert reliability(words([1.0, 1.0], [True, True]))[0].ece == 0


def test_reliability_of_each_exit():
    pooled, first, third = reliability(words([0.9, 0.8, 0.7], [True, True, False], [1, 3, 3]))
    assert (pooled.layer, first.layer, third.layer) == (0, 1, 3)
    assert (pooled.count, first.count, third.count) == (3, 1, 2)
    assert third.accuracy == 0.5


def test_words_without_gold_do_not_count():
    given = words([0.9, 0.8], [True, True])
    given.gold[:] = -100
    assert reliability(given) == []


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0.93, 0.951), (1, 12), (-3, 4), (0, 25_000), (1e-6, 3e-6)]
)
def test_ticks_are_few_and_inside(low: float, high: float):
    ticks = nice_ticks(low, high)
    assert 2 <= len(ticks) <= 7
    assert low - 1e-9 <= ticks[0] < ticks[-1] <= high + 1e-9


def test_tick_texts_are_distinct():
    for values in ([0.9431, 0.9508], [1, 1], [0, 1e-4], [100, 250_000]):
        texts = [text for _, text in axis("y", values).ticks]
        assert len(texts) == len(set(texts))


def test_an_axis_without_values_or_with_nan_stands():
    assert axis("y", []).low < axis("y", []).high
    assert axis("y", [math.nan, 2.0, 3.0]).high < 4


def test_a_log_axis_falls_back_where_it_cannot_be():
    assert not axis("y", [0.0, 1.0], log=True).log
    assert axis("y", [0.01, 1.0], log=True).place(0.1) == pytest.approx(0.5)


def test_charts_are_escaped():
    point = Point(1, 2, "<b>tip")
    svg = line_chart(
        "id", "a<b", "c<d", axis("x", [1]), axis("<y>", [2]), [Line("<l>", [point], "k0")]
    )
    assert "<b>" not in svg
    assert "&lt;y&gt;" in svg


def test_colours_read_well():
    for stops in (palette.FILL_LIGHT, palette.FILL_DARK):
        colours = palette.ramp(stops, 12)
        assert len(set(colours)) == 12
        assert all(re_contrast(colour) >= 3.9 for colour in colours)
    assert palette.ramp(palette.FILL_LIGHT, 1) == [palette.FILL_LIGHT[0]]


def re_contrast(colour: str) -> float:
    light, dark = sorted(
        (palette._luminance(colour), palette._luminance(palette.ink(colour))), reverse=True
    )
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        ({"name": "never"}, "never"),
        ('{"name": "entropy", "threshold": 0.12345}', "entropy(0.1235)"),
        ({"name": "w", "policy": {"name": "margin", "t": 0.9}, "size": 3}, "w(margin(0.9), 3)"),
        ({"name": "any_of", "policies": [{"name": "a"}, {"name": "b"}]}, "any_of([a, b])"),
        ("free text", "free text"),
        (None, "None"),
    ],
)  # fmt: skip
def test_policies_in_one_line(policy: object, text: str):
    assert policy_text(policy) == text


def test_curve_holds_families_baseline_target_and_choice(run: Path):
    curve = curve_of(load_run(run))
    assert curve is not None
    assert list(curve.families) == ["window(entropy, 3)", "entropy", "patience"]
    assert [point.depth for point in curve.static] == [1, 2, 3, 4, 5]
    assert curve.full is not None
    assert curve.chosen is not None
    assert curve.floor == pytest.approx(0.99 * curve.full.quality)
    low, high = curve.shown()
    assert low < curve.floor < high
    assert curve.outside() == sum(p.quality < low for p in curve.points) > 0


def test_the_choice_is_seen_however_bad(run: Path):
    curve = curve_of(load_run(run))
    assert curve is not None
    assert curve.chosen is not None
    assert replace(curve, chosen=replace(curve.chosen, quality=0.3)).shown()[0] == 0.3


def test_without_a_curve_the_baseline_comes_from_the_metrics(make_run: Make):
    curve = curve_of(load_run(make_run(skip=("pareto.csv",))))
    assert curve is not None
    assert curve.families == {}
    assert len(curve.static) == 5


def test_simulation_and_run_of_one_setting_share_a_line():
    policy = {"name": "entropy", "threshold": 0.1}
    other = {"name": "entropy", "threshold": 0.2}
    verified, simulated = tried(
        {
            "target": {"min_quality": 0.99},
            "policy": policy,
            "candidates": [
                {"policy": policy, "quality": 0.9, "relative_quality": 0.98, "verified": True},
                {"policy": policy, "quality_simulated": 0.91, "verified": False},
                {"policy": other, "quality_simulated": 0.8, "verified": False},
            ],
        }
    )
    assert [(v.policy, v.simulated, v.chosen, v.kept) for v in verified] == [
        ("entropy below 0.1", 0.91, True, False)
    ]
    assert [s.policy for s in simulated] == ["entropy below 0.2"]


def test_labels_are_sorted_by_depth(run: Path):
    data = load_run(run)
    rows, gold = class_depths(data)
    assert gold
    assert [row.depth for row in rows] == sorted((row.depth for row in rows), reverse=True)
    assert all(sum(row.shares) == pytest.approx(1) for row in rows)
    outside, inside = entity_depths(data) or (0, 0)
    assert outside < inside


def test_part_of_speech_runs_have_no_entities(make_run: Make):
    assert entity_depths(load_run(make_run(task="pos"))) is None


def test_the_sample_has_no_text_twice(run: Path):
    groups = heat_map(load_run(run))
    numbers = [line.number for group in groups for line in group.lines]
    assert len(groups) == 3
    assert len(numbers) == len(set(numbers)) == SAMPLE


def test_labels_unknown_to_the_model_have_a_name(run: Path):
    data = load_run(run)
    assert data.label(-1) == "unknown label"
    assert data.label(999) == "class 999"


def test_progress_leaves_out_exits_that_nobody_reached():
    log = [
        {"step": 1, "loss_by_exit": [1.0, 0.0], "reached": [1.0, 0.0]},
        {"step": 2, "loss_by_exit": [0.5, 0.4], "reached": [1.0, 0.3]},
        {"step": 2, "validation_by_exit": [0.1, 0.2]},
    ]
    progress = progress_of(log)
    assert progress.loss == [[(1, 1.0), (2, 0.5)], [(2, 0.4)]]
    assert progress.validation == [[(2, 0.1)], [(2, 0.2)]]


def test_long_logs_are_averaged():
    log = [{"step": n, "loss_by_exit": [float(n)]} for n in range(5000)]
    series = progress_of(log).loss[0]
    assert len(series) <= MOST
    assert series[-1][0] == 4999
