"""Costs are learned back from runs whose times they made."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tokenexit.calibration.clock.cost_model import Cost, CostModel, fit
from tokenexit.calibration.clock.saved import read_costs

TRUE = {
    "batch": Cost((1.0, 64.0), (1e-4, 5e-4)),
    "layer": Cost((1.0, 8.0, 64.0), (1e-3, 1.2e-3, 6e-3)),
    "ask margin": Cost((1.0, 64.0), (2e-4, 9e-4)),
}


def runs(noise=0.0, seed=0):
    """Batches of many sizes, at full depth, at the first exit, and asked at every exit."""
    draw = np.random.default_rng(seed)
    model, found = CostModel(TRUE), []
    for rows in (1, 2, 4, 8, 16, 32, 64):
        for layers, asked in ((6, 0), (1, 0), (6, 5), (3, 3)):
            counts = {
                "batch": np.array([float(rows)]),
                "layer": np.full(layers, float(rows)),
                "ask margin": np.full(asked, float(rows)),
            }
            found.append((counts, model.seconds(counts) * (1 + noise * draw.random())))
    return found


def test_costs_are_found_again():
    costs, error = fit(runs())
    assert error < 1e-6
    places = np.array([1.0, 3.0, 8.0, 20.0, 64.0])
    for name in TRUE:
        assert costs[name].at(places) == pytest.approx(TRUE[name].at(places), rel=1e-3)


def test_noise_bends_no_cost_downwards():
    costs, error = fit(runs(noise=0.5))
    assert 0 < error < 0.5
    for cost in costs.values():
        assert cost.seconds[0] >= 0
        assert all(np.diff(cost.seconds) >= 0)
    model = CostModel(costs)
    for counts, seconds in runs():
        assert model.seconds(counts) == pytest.approx(1.25 * seconds, rel=0.35)


def test_beyond_what_was_measured_it_grows_in_proportion():
    cost = Cost((1.0, 8.0), (1.0, 2.0))
    assert cost.at(np.array([0.5, 1.0, 4.5, 8.0, 16.0])).tolist() == [1.0, 1.0, 1.5, 2.0, 4.0]


def test_operations_that_nobody_measured_count_nothing():
    assert CostModel(TRUE).seconds({"ask entropy": np.array([3.0])}) == 0
    learned, _ = fit([({"layer": np.array([2.0]), "head": np.zeros(0)}, 1.0)])
    assert set(learned) == {"layer"}


def test_it_is_saved_and_read_again(tmp_path):
    model = CostModel(TRUE, ("margin",), {"threads": 2}, 0.1, 3.0, 28)
    path = tmp_path / "cost_model.json"
    path.write_text(json.dumps(model.to_json(), allow_nan=False))
    assert read_costs(path) == model


@pytest.mark.parametrize(
    "damaged",
    ["", "{", "[]", "null", '{"costs": {}}', '{"costs": {"layer": {"rows": [], "seconds": []}}}',
     '{"costs": {"layer": {"rows": [1], "seconds": ["x"]}}, "scoring": [], "conditions": {}}'],
)  # fmt: skip
def test_a_damaged_file_is_measured_anew(damaged, tmp_path):
    path = tmp_path / "cost_model.json"
    path.write_text(damaged)
    assert read_costs(path) is None
    assert read_costs(tmp_path / "nothing.json") is None


def test_a_single_run_is_enough_for_one_cost():
    costs, error = fit([({"layer": np.array([4.0, 4.0])}, 2.0)])
    assert costs["layer"].at(np.array([4.0])).tolist() == pytest.approx([1.0])
    assert math.isclose(error, 0.0, abs_tol=1e-9)
