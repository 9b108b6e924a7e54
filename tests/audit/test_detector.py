"""Detectors: by hand, how often they cry wolf, how soon they see a change."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tokenexit.audit import Detector
from tokenexit.audit.drawing import is_drawn
from tokenexit.audit.ladder import Ladder
from tokenexit.errors import UserError
from tokenexit.policies import Entropy
from tokenexit.policies.never import Never


def run_lengths(detector: Detector, streams: np.ndarray, start: int = 0) -> np.ndarray:
    """Numbers seen after ``start`` until the alarm, of each stream; its length where none sounds.

    The same sums as the class, of all streams at once; a test holds the two together.
    """
    stakes = np.array(detector.stakes)[:, None]
    sums = np.zeros((len(stakes), len(streams)))
    first = np.full(len(streams), streams.shape[1] - start)
    running = np.ones(len(streams), dtype=bool)
    for place, numbers in enumerate(streams.T):
        sums = (sums + 1 / len(stakes)) * (1 + stakes * (numbers - detector.centre))
        over = running & (sums.sum(axis=0) >= detector.threshold)
        if place < start:
            sums[:, over] = 0.0  # a false alarm before the change starts anew
            continue
        first[over] = place - start + 1
        running &= ~over
    return first


def test_the_factor_is_a_ratio_of_likelihoods():
    one = Detector.of_more(0.05)
    likely = 0.05 + 0.95 * 0.15
    stake = one.stakes[4]
    assert 1 + stake * (1 - 0.05) == pytest.approx(likely / 0.05)
    assert 1 + stake * (0 - 0.05) == pytest.approx((1 - likely) / 0.95)


def test_sums_by_hand():
    one = Detector(0.5, (1.0,), 100.0)
    assert one.saw(1.0).sums == (1.5,)
    assert one.saw(1.0).saw(0.0).sums == (2.5 * 0.5,)
    assert not one.saw(1.0).alarm
    assert Detector(0.5, (1.0,), 1.4).saw(1.0).alarm
    assert one.saw(1.0).anew() == one


def test_it_is_what_is_measured_here():
    rng, one = np.random.default_rng(0), Detector.of_more(0.1, 200.0)
    stream = (rng.random((1, 400)) < 0.4) * 1.0
    seen = 0
    for number in stream[0]:
        one, seen = one.saw(float(number)), seen + 1
        if one.alarm:
            break
    assert run_lengths(Detector.of_more(0.1, 200.0), stream)[0] == seen


def test_false_alarms_are_as_far_apart_as_was_asked():
    rng = np.random.default_rng(1)
    one = Detector.of_more(0.05, 500.0)
    streams = (rng.random((200, 6000)) < 0.05) * 1.0
    # of streams cut at 6,000 the mean is less than it would be
    assert run_lengths(one, streams).mean() >= 500


def test_a_doubling_is_found_soon_even_after_good_years():
    rng = np.random.default_rng(2)
    good, bad = rng.random((500, 2000)) < 0.025, rng.random((500, 1500)) < 0.10
    streams = np.concatenate([good, bad], axis=1) * 1.0
    found = run_lengths(Detector.of_more(0.05), streams, start=2000)
    assert np.median(found) <= 200  # 193 of 2,000 streams (benchmarks/audits.py)


def test_costs_of_exits_are_found_and_gains_are_not():
    rng = np.random.default_rng(3)
    costs = rng.choice([1.0, 0.0, -1.0], (40, 4000), p=[0.06, 0.94, 0.0])
    gains = rng.choice([1.0, 0.0, -1.0], (40, 4000), p=[0.02, 0.94, 0.04])
    one = Detector.of_cost(0.01)
    assert np.median(run_lengths(one, costs)) < 1000
    assert (run_lengths(one, gains) == 4000).mean() > 0.9


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_shares_out_of_range(share):
    with pytest.raises(UserError, match="between 0 and 1"):
        Detector.of_more(share)
    with pytest.raises(UserError, match="more than 1"):
        Detector.of_more(0.05, 0.5)


def test_a_detector_goes_on_from_its_state():
    one = Detector.of_more(0.05).saw(1.0).saw(0.0)
    again = Detector.of_more(0.05).resumed(json.loads(json.dumps(one.to_json())))
    assert again == one


def test_a_ladder_goes_down_at_an_alarm_and_up_when_it_is_calm():
    ladder = Ladder.of([Entropy(0.1), Entropy(0.5)], 0.05, 50.0, 20.0)
    assert (ladder.rung, ladder.looser, ladder.policy) == (2, None, Entropy(0.5))
    steps = 0
    while ladder.rung == 2:
        ladder, steps = ladder.saw(1.0, 1.0), steps + 1
    assert steps < 10
    assert ladder.worse.seen == ladder.better.seen == 0
    assert ladder.looser == Entropy(0.5)
    while ladder.rung == 1:
        ladder = ladder.saw(1.0, 1.0)
    assert ladder.policy == Never()
    calm = 0
    while ladder.rung == 0:
        ladder, calm = ladder.saw(0.0, 0.0), calm + 1
    assert calm < 200
    assert ladder.policy == Entropy(0.1)


def test_draws_know_the_number_alone():
    drawn = [is_drawn(n, 0.1, seed=3) for n in range(20_000)]
    assert 0.09 < sum(drawn) / len(drawn) < 0.11
    assert drawn[:50] == [is_drawn(n, 0.1, seed=3) for n in range(50)]
    assert drawn[:500] != [is_drawn(n, 0.1, seed=4) for n in range(500)]
    # who is drawn at a lower rate is drawn at a higher one
    assert all(is_drawn(n, 0.2, 3) for n in range(2000) if drawn[n])
