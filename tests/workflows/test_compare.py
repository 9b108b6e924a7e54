"""Policies against each other: one table, resumable, failures told."""

from __future__ import annotations

import csv
import json

import pytest

from tokenexit.errors import UserError
from tokenexit.workflows.compare import CompareConfig, _of_gate, compare

pytestmark = pytest.mark.slow

PAIR = ["entropy", {"name": "window", "policy": {"name": "margin"}}]


@pytest.fixture
def config(trained_run, corpus, tmp_path):
    def make(**changes):
        given = {"policies": PAIR, "min_quality": 0.9, "bench": [2], "bench_texts": 2, "repeats": 1}
        return CompareConfig(
            run=str(trained_run), data=str(corpus), output_dir=str(tmp_path / "c"),
            **{**given, **changes},
        )  # fmt: skip

    return make


def read(folder):
    return json.loads((folder / "compare.json").read_text())["results"]


def test_every_policy_is_calibrated_run_and_timed(config, tmp_path):
    table = compare(config()).read_text()
    found = read(tmp_path / "c")
    assert list(found) == ["entropy", "window(margin)"]
    for one in found.values():
        assert one["test"]["policy"] == one["policy"]
        assert one["bench"]["2"]["speedup_median"] > 0
        assert len(one["curve"]) >= 2
    rows = list(csv.DictReader((tmp_path / "c" / "compare.csv").open()))
    assert {row["name"] for row in rows} == {*found}
    assert float(rows[0]["clock_2"]) > 0
    assert "| `window(margin)` |" in table
    assert "Clock, batch 2" in table


def test_goes_on_where_it_stopped(config, tmp_path, caplog):
    compare(config(policies=PAIR[:1]))
    before = read(tmp_path / "c")["entropy"]
    compare(config())
    found = read(tmp_path / "c")
    assert found["entropy"] == before  # timings included: it was not run again
    assert len(found) == 2
    with pytest.raises(UserError, match="made with other settings"):
        compare(config(min_quality=0.8))


def test_the_clock_may_be_asked_for_later(config, tmp_path):
    table = compare(config(bench=[])).read_text()
    before = read(tmp_path / "c")
    assert "Clock, batch" not in table
    table = compare(config(bench=[1])).read_text()
    after = read(tmp_path / "c")
    assert "Clock, batch 1" in table
    for name, one in after.items():
        assert one.pop("bench").keys() == {"1"}
        assert before[name].pop("bench") == {}
        assert one == before[name]
    compare(config(bench=[1, 2]))
    assert read(tmp_path / "c")["entropy"]["bench"].keys() == {"1", "2"}


def test_budgets_are_spent_as_chosen_on_validation(config, tmp_path):
    plain = compare(config(policies=PAIR[:1], bench=[])).read_text()
    assert "Clock" not in plain
    before = read(tmp_path / "c")["entropy"]
    table = compare(config(policies=PAIR[:1], bench=[], speedups=[1.5, 900])).read_text()
    found = read(tmp_path / "c")["entropy"]
    assert {key: found[key] for key in before} == before  # nothing was done again
    assert "Within" not in plain
    assert "| Within 1/1.5 | Within 1/900 |" in table
    assert found["budgets"]["900"] == {}  # nothing is so cheap
    chosen = found["budgets"]["1.5"]
    cheap = [one for one in found["swept"] if one["mac_ratio"] <= 1 / 1.5]
    assert chosen["validation"]["quality"] == max(one["quality"] for one in cheap)
    assert chosen["test"]["policy"] == chosen["policy"]
    row = next(csv.DictReader((tmp_path / "c" / "compare.csv").open()))
    assert float(row["quality_within_1.5x"]) == chosen["test"]["quality"]


def test_what_fails_is_told_and_the_others_go_on(config, tmp_path):
    table = compare(config(policies=["saturation", "learned_gate", "entropy"])).read_text()
    found = read(tmp_path / "c")
    assert "error" in found["saturation"] or "test" in found["saturation"]
    assert "has none" in found["learned_gate"]["error"]
    assert "test" in found["entropy"]
    assert "| `learned_gate` | This policy reads the learned gate" in table


def test_families_are_those_the_model_can_serve(config):
    from tokenexit.workflows.commands import open_model
    from tokenexit.workflows.compare import _families

    given = config(policies=[])
    names = [*_families(given, open_model(given.run).model)]
    assert "window(entropy)" in names
    assert not {"learned_gate", "predicted_depth", "decay(margin)"} & {*names}
    every = {"name": "every_kth", "policy": {"name": "margin", "threshold": 0.5}}
    several = [every, {**every, "k": 3}, {"name": "from_layer", "policy": every, "layer": 3}]
    assert [*_families(config(policies=several), open_model(given.run).model)] == [
        "every_kth(margin)",
        "every_kth(margin, k=3)",
        "from_layer(every_kth(margin), layer=3)",
    ]
    with pytest.raises(UserError, match=r"every_kth\(margin\) twice"):
        _families(config(policies=[every, {**every, "k": 2}]), open_model(given.run).model)
    with pytest.raises(UserError, match="no threshold"):
        _families(config(policies=["never"]), open_model(given.run).model)


def test_a_context_gate_is_asked_where_the_model_has_one(config, splits):
    from tokenexit.training.fit_gate import fit_gate
    from tokenexit.workflows.commands import open_model
    from tokenexit.workflows.compare import _families

    given = config(policies=[])
    model = open_model(given.run).model
    assert "context_gate" not in _families(given, model)
    model.use_context(fit_gate(model, splits["train"].tokens, epochs=1, inner=0, rounds=1))
    assert "context_gate" in _families(given, model)


@pytest.mark.parametrize(
    ("gate", "asked"),
    [
        (None, []),
        (True, ["learned_gate"]),
        ({"name": "meta"}, ["learned_gate"]),
        ({"name": "pair"}, ["q_exit"]),  # which says how likely leaving is, not being wrong
        ({"name": "units"}, ["dact"]),
    ],
)
def test_a_gate_is_asked_by_the_policy_it_was_trained_for(gate, asked):
    assert _of_gate(gate) == asked
