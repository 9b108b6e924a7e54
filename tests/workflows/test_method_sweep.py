"""The settings that a sweep runs: loosest first, then where the curve has gaps."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tokenexit.policies import from_config
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.margin import Margin
from tokenexit.policies.patience import Patience
from tokenexit.policies.pcee import PCEE
from tokenexit.workflows.method_sweep import next_setting

pytestmark = pytest.mark.slow


def ran(value, share, family="entropy"):
    return {"value": value, "depth_speedup": 1 / share, "family": family}


def simulated(policy, share):
    return {"policy": policy.to_config(), "depth_speedup_simulated": 1 / share}


def sweep(family, share_of, count, candidates=()):
    """Run a sweep against a made-up curve: settings in the order in which they are run."""
    name = family.to_config()["name"] if not isinstance(family, PCEE) else "pcee(entropy, 2)"
    points, values = [], []
    while (value := next_setting(family, points, candidates, count)) is not None:
        points.append(ran(value, share_of(value), name))
        values.append(value)
        assert len(values) <= count
    return values


def test_the_loosest_setting_comes_first():
    assert next_setting(Entropy(0.1), [], [], 5) == 0.9
    assert next_setting(Patience(3), [], [], 5) == 1


def test_the_loosest_setting_is_run_however_many_were():
    strict = [ran(value, 0.9) for value in (0.01, 0.02, 0.03)]
    assert next_setting(Entropy(), strict, [], 2) == 0.9
    assert next_setting(Entropy(), [*strict, ran(0.9, 0.2)], [], 2) is None


def test_the_widest_gap_is_parted_where_the_simulation_puts_its_middle():
    points = [ran(0.9, 0.2), ran(0.1, 0.9)]
    expected = [simulated(Entropy(v), s) for v, s in ((0.2, 0.8), (0.3, 0.6), (0.5, 0.3))]
    others = [simulated(Margin(0.5), 0.55), {"policy": {"name": "never"},
                                             "depth_speedup_simulated": None}]  # fmt: skip
    assert next_setting(Entropy(), points, [*expected, *others], 5) == 0.3


def test_without_a_simulation_a_gap_is_halved_on_the_scale_of_the_threshold():
    points = [ran(0.9, 0.2), ran(0.1, 0.9)]
    assert next_setting(Entropy(), points, [], 5) == pytest.approx(0.3)  # of 0.1 and 0.9
    parts = [ran(0.01, 0.2, "margin"), ran(0.8, 0.9, "margin")]
    assert next_setting(Margin(), parts, [], 5) == pytest.approx(0.555)  # 0.99 and 0.2 miss 1


def test_a_sweep_leaves_no_wide_gap():
    values = sweep(Entropy(), lambda value: 1.0 - 0.9 * value, 12)
    shares = sorted([1.0, *(1 - 0.9 * v for v in values)])
    assert max(b - a for a, b in pairwise(shares)) <= 1.5 / 12  # halves do not come out even
    assert len(values) <= 12


def test_a_step_is_not_parted_for_ever():
    values = sweep(Entropy(), lambda value: 0.2 if value > 0.5 else 1.0, 12)
    assert len(values) <= 12
    assert len(set(values)) == len(values)


def test_whole_numbers_are_each_run_once():
    # Layers of a network of six: patience 1 leaves after 2, 5 at the top.
    values = sweep(Patience(), lambda value: min(value + 1, 6) / 6, 12)
    assert {1, 2, 3, 4} <= set(values)
    assert all(value == int(value) for value in values)
    assert len(set(values)) == len(values)


def test_what_was_run_counts():
    points = [ran(v, s) for v, s in ((0.9, 0.2), (0.5, 0.5), (0.2, 0.8))]
    assert next_setting(Entropy(), points, [], 3) is None
    assert next_setting(Entropy(), points, [], 4) is not None
    assert next_setting(Entropy(), [*points, ran(1, 0.1, "margin")], [], 4) is not None


def test_the_threshold_of_a_wrapped_policy():
    family = from_config({"name": "pcee", "policy": {"name": "entropy"}, "times": 2})
    values = sweep(family, lambda value: 1.0 - 0.8 * value, 6)
    assert values[0] == 0.9
    assert len(values) >= 4
