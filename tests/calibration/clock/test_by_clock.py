"""Choices by the clock, on machines whose times are known."""

from __future__ import annotations

import json
import logging

import pytest

from tokenexit.calibration import CalibrateConfig, calibrate
from tokenexit.calibration.clock.cost_model import CostModel
from tokenexit.calibration.clock.counts import asked_at
from tokenexit.errors import UserError
from tokenexit.evaluation import evaluate
from tokenexit.policies import Entropy, Margin, Never, from_config
from tokenexit.reporting.calibration_text import calibration_text

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nothing_twice")]

FAMILIES = [Margin(), Entropy()]
KEEP = {"min_quality": 0.75, "grid": 8, "verify": 2, "loose": True}
DEAR = {"scored": 1e-3}
"""A machine where questions cost more than layers."""


def chosen_by(tagger, tagged, machine, **config):
    given = CalibrateConfig(**{**KEEP, **config})
    return calibrate(tagger, tagged, given, families=FAMILIES, batch_size=8, watch=machine)


@pytest.fixture(scope="module")
def fast(tagger, tagged, make_machine, nothing_twice):
    """The choice where questions are cheap."""
    return chosen_by(tagger, tagged, make_machine(), minimise="time")


def rows(found):
    return {row["name"]: row for row in found.timing["rows"]}


def the_chosen(found):
    [row] = [row for row in found.timing["rows"] if row["chosen"]]
    assert row["policy"] == found.policy
    return row


def test_cheap_questions_make_a_policy_the_choice(fast, tagger, tagged):
    assert from_config(fast.policy).threshold_spec() is not None
    assert fast.policy["name"] != "assigned_depth"
    assert fast.reached
    assert fast.timing["pays"]
    table = rows(fast)
    assert the_chosen(fast)["ms"] == min(row["ms"] for row in table.values() if row["keeps"])
    assert the_chosen(fast)["ms"] < table["full depth"]["ms"]
    assert fast.chosen["relative_quality"] >= 0.75
    again, _ = evaluate(tagger, tagged, "validation", from_config(fast.policy))
    assert again.relative_quality == fast.chosen["relative_quality"]
    said = calibration_text(fast.to_json())
    assert "Exits pay: " in said
    assert "time a text:" in said


def test_times_are_foretold_about_right(fast):
    for row in fast.timing["rows"]:
        assert row["ms_foretold"] == pytest.approx(row["ms"], rel=0.1)
    assert all(c.ms_foretold is not None and c.ms_foretold > 0 for c in fast.candidates)
    timed = [c.ms for c in fast.candidates if c.ms is not None]
    assert sorted(timed) == sorted(row["ms"] for row in fast.timing["rows"])


def test_the_runner_up_is_asked_elsewhere(fast, tagger):
    first, second = (from_config(rows(fast)[name]["policy"]) for name in ("policy", "runner-up"))
    assert asked_at(first, (1, 2, 3)) != asked_at(second, (1, 2, 3))


def test_fewer_questions_are_tried_and_fixed_layers(fast):
    tried = {c.policy["name"] for c in fast.candidates if not c.verified}
    assert {"margin", "entropy", "every_kth", "from_layer", "assigned_depth"} <= tried


def test_dear_questions_are_not_asked(tagger, tagged, make_machine):
    """Where a question costs more than all layers, everybody stays or leaves at one layer."""
    found = chosen_by(tagger, tagged, make_machine(**DEAR), minimise="time")
    assert found.policy == {"name": "never"}
    assert rows(found)["policy"]["ms"] > rows(found)["full depth"]["ms"]
    said = calibration_text(found.to_json())
    assert "nothing that does is faster" in said
    assert "Exits do not pay there" in said
    fixed = chosen_by(tagger, tagged, make_machine(**DEAR), minimise="time", min_quality=0.01)
    assert fixed.policy["name"] == "assigned_depth"
    assert fixed.timing["pays"]
    assert "A policy does not pay there; the fixed layer is" in calibration_text(fixed.to_json())


def test_full_depth_stays_where_nothing_is_faster(tagger, tagged, make_machine):
    """On a machine where all that is left is what every batch costs."""
    nothing = make_machine(call=0.0, row=0.0, head=0.0, scored=0.0)
    found = chosen_by(tagger, tagged, nothing, minimise="time", verify=1)
    assert from_config(found.policy) == Never()
    assert found.reached
    assert not found.timing["pays"]


@pytest.mark.parametrize("share", [0.2, 0.7, 2.0])
def test_the_best_quality_within_a_time(share, fast, tagger, tagged, make_machine):
    full = rows(fast)["full depth"]["ms"]
    latency = full * (0.3 + 0.7 * share)
    found = chosen_by(tagger, tagged, make_machine(), latency=latency, min_quality=None)
    assert found.reached
    assert found.target == {"latency": latency}
    assert found.minimise == "time"
    assert the_chosen(found)["ms"] <= latency
    said = calibration_text(found.to_json())
    if latency >= full:
        assert found.policy == {"name": "never"}
        assert found.timing["binding"] == "nothing"
        assert "full depth does, so the model stays at full depth" in said
    else:
        assert found.timing["binding"] == "latency"
        assert found.chosen["quality"] < 1
        fitting = [c.quality for c in found.candidates if c.ms is not None and c.ms <= latency]
        assert found.chosen["quality"] == max(fitting)
        assert "a text, as asked" in said


def test_a_time_that_one_layer_takes_already_is_refused(tagger, tagged, make_machine):
    with pytest.raises(UserError, match=r"out of reach.*layer 1.*least possible"):
        chosen_by(tagger, tagged, make_machine(), latency=1e-6, min_quality=None)


def test_a_quality_and_a_time_say_which_binds(fast, tagger, tagged, make_machine):
    found = chosen_by(tagger, tagged, make_machine(), latency=1e3)
    assert found.target == {"min_quality": 0.75, "latency": 1e3}
    assert found.timing["binding"] == "min_quality"
    assert found.policy == fast.policy
    assert "take at most 1000 ms a text" in calibration_text(found.to_json())


def test_a_quality_and_a_time_that_exclude_each_other(fast, tagger, tagged, make_machine):
    latency = 0.9 * the_chosen(fast)["ms"]
    with pytest.raises(UserError, match=r"exclude each other here.*Allow that much time"):
        chosen_by(tagger, tagged, make_machine(), latency=latency)


def test_the_same_costs_serve_again(tagger, tagged, make_machine):
    class Counting(type(make_machine())):
        def __call__(self, work, device):
            calls.append(1)
            return super().__call__(work, device)

    calls: list[int] = []
    config = CalibrateConfig(**{**KEEP, "verify": 1}, minimise="time")
    options = {"families": FAMILIES, "batch_size": 8, "watch": Counting()}
    first = calibrate(tagger, tagged, config, **options)
    measured = len(calls)
    assert first.cost_model is not None
    known = CostModel.from_json(json.loads(json.dumps(first.cost_model)))
    again = calibrate(tagger, tagged, config, costs=known, **options)
    race = len(calls) - measured
    assert 2 * race < measured
    assert again.policy == first.policy
    calls.clear()
    calibrate(tagger, tagged, config, costs=known, **{**options, "batch_size": 4})
    assert len(calls) > 2 * race, "costs of another batch size were taken"


def test_what_is_minimised_without_a_clock(tagger, tagged):
    by_layers = chosen_by(tagger, tagged, None, minimise="layers")
    by_macs = chosen_by(tagger, tagged, None, minimise="macs")
    assert by_layers.timing is by_macs.timing is by_layers.cost_model is None
    kept = [c for c in by_macs.candidates if c.verified and c.relative_quality >= 0.75]
    assert by_macs.chosen["mac_ratio"] == min(c.mac_ratio for c in kept)
    assert by_layers.chosen["depth_speedup"] == max(c.depth_speedup for c in kept)
    assert by_layers.minimise == "layers"


def test_a_promise_is_kept_only_where_it_pays(tagger, tagged, make_machine):
    config = {"min_quality": None, "risk": 0.4, "minimise": "time"}
    dear = chosen_by(tagger, tagged, make_machine(**DEAR), **config)
    assert {row["name"] for row in dear.timing["rows"]} == {"full depth", "policy"}
    assert dear.policy == {"name": "never"}
    assert dear.reached
    assert "Full depth keeps the promise" in calibration_text(dear.to_json())


def test_in_int8_it_is_held_to_full_depth_in_float32(tagger, tagged, make_machine, caplog):
    result, _ = evaluate(tagger, tagged, "validation", Never())
    tagger.use(precision="int8")
    try:
        own, _ = evaluate(tagger, tagged, "validation", Never())
        with caplog.at_level(logging.WARNING, logger="tokenexit"):
            found = chosen_by(
                tagger, tagged, make_machine(), minimise="time", min_quality=1.0, verify=1
            )
        assert tagger.precision == "int8"
        best, _ = evaluate(tagger, tagged, "validation", from_config(found.policy))
    finally:
        tagger.use(precision="fp32")
    assert found.precision == "int8"
    assert found.timing["conditions"]["precision"] == "int8"
    assert found.quality_full_depth == result.quality == 1.0
    assert found.chosen["quality"] == best.quality
    assert found.full_depth_kept == own.quality / result.quality
    said = calibration_text(found.to_json())
    assert "measured in int8, against full depth in float32" in said
    if own.quality < 1.0:
        assert "less than the 100.00% asked" in caplog.text
        assert "less than asked" in said
