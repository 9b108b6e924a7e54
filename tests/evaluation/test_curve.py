"""Quality against compute, as points in a file."""

from __future__ import annotations

import csv
import json

import pyarrow.parquet as pq
import pytest

from tokenexit.evaluation import evaluate
from tokenexit.evaluation.curve import family_name, save_curve, trace_curve
from tokenexit.evaluation.setting_traces import SettingTraces
from tokenexit.policies import POLICIES, from_config
from tokenexit.policies.all_of import AllOf
from tokenexit.policies.assigned_depth import AssignedDepth
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.margin import Margin
from tokenexit.policies.never import Never
from tokenexit.policies.patience import Patience
from tokenexit.policies.per_class import PerClass
from tokenexit.policies.window import Window
from tokenexit.reporting.run import load_run

VALUES = (0.05, 0.3)


@pytest.fixture(scope="module")
def points(tagger, splits):
    return trace_curve(tagger, splits["test"], "test", Window(Entropy(), 3), VALUES)


def test_the_curve_has_its_baselines(points):
    assert [(p.kind, p.value) for p in points] == [
        ("full", None),
        ("static", 1),
        ("static", 2),
        *(("engine", value) for value in VALUES),
    ]
    full, first, second, strict, loose = points
    assert full.relative_quality == full.depth_speedup == 1
    assert (first.mean_exit_layer, second.mean_exit_layer) == (1, 2)
    assert first.mac_ratio < second.mac_ratio < full.mac_ratio <= 1
    assert loose.mac_ratio < strict.mac_ratio
    assert {p.split for p in points} == {"test"}


def test_every_point_can_be_measured_again(points, tagger, splits):
    for point in points:
        result, _ = evaluate(tagger, splits["test"], "test", from_config(point.policy))
        assert result.quality == point.quality
        assert result.mac_ratio == point.mac_ratio
        assert result.relative_quality == pytest.approx(point.relative_quality)


def test_a_policy_without_a_threshold_gives_the_baselines_alone(tagger, splits):
    points = trace_curve(tagger, splits["test"].head(4), "test", Never(), [1.0])
    assert [p.kind for p in points] == ["full", "static", "static"]


def test_the_file_is_read_back(points, tmp_path):
    save_curve(points, tmp_path / "pareto.csv")
    with (tmp_path / "pareto.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(points)
    for row, point in zip(rows, points, strict=True):
        assert float(row["quality"]) == point.quality
        assert float(row["mac_ratio"]) == point.mac_ratio
        assert row["value"] == ("" if point.value is None else str(point.value))
        assert from_config(json.loads(row["policy"])) == from_config(point.policy)
    read = load_run(tmp_path).pareto  # as the report does
    assert read is not None
    assert [r.quality for r in read] == [p.quality for p in points]
    assert [r.kind for r in read] == [p.kind for p in points]


@pytest.mark.parametrize(
    ("policy", "name"),
    [
        (Never(), "never"),
        (Entropy(0.1), "entropy"),
        (Margin(0.4), "margin"),
        (Window(Entropy(0.1), 3), "window(entropy, 3)"),
        (Window(Window(Entropy(0.1), 3), 5), "window(window(entropy, 3), 5)"),
        (AllOf((Entropy(0.1), Patience(2))), "all_of(entropy+patience)"),
        (PerClass(Entropy(0.1), {"O": Entropy(0.2)}), "per_class(entropy, O: entropy)"),
        (AssignedDepth(2), "assigned_depth"),
        (AssignedDepth(2, dict.fromkeys(range(900), 1)), "assigned_depth(900 entries)"),
    ],
)
def test_names_of_families(policy, name):
    assert family_name(policy) == name


@pytest.mark.parametrize(
    "policy",
    [p for _, cls in POLICIES.items() for p in cls.examples() if p.threshold_spec()],
    ids=str,
)
def test_all_settings_of_a_threshold_share_a_name(policy):
    spec = policy.threshold_spec()
    assert {family_name(policy.with_threshold(v)) for v in (spec.strict, spec.loose)} == {
        family_name(policy)
    }


def test_traces_of_its_settings_are_kept(tagger, splits, tmp_path):
    path, kept = tmp_path / "settings.parquet", SettingTraces(most=3)
    found = trace_curve(tagger, splits["test"], "test", Entropy(), VALUES, keep=kept.add)
    kept.save(path)
    rows = pq.read_table(path).to_pylist()
    moved = [point.policy for point in found if point.kind in ("full", "engine")]
    assert list(dict.fromkeys(row["policy"] for row in rows)) == moved
    last = len(splits["test"]) - 1
    assert {row["text"] for row in rows} == {0, last // 2, last}
    _, trace = evaluate(tagger, splits["test"], "test", Entropy(VALUES[0]))
    mine = [row for row in rows if row["policy"] == moved[1] and row["text"] == last]
    assert [row["exit_layer"] for row in mine] == trace.exit_layer[trace.text == last].tolist()
    assert [row["prediction"] for row in mine] == trace.prediction[trace.text == last].tolist()


def test_traces_of_one_setting_are_none(tmp_path):
    path = tmp_path / "settings.parquet"
    path.write_bytes(b"of an earlier policy")
    SettingTraces().save(path)
    assert not path.exists()
