"""Contestants take turns, and only a difference beyond the noise is one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tokenexit.calibration.clock.stopwatch import LEAST, MOST, Passes, interleaved, stopwatch
from tokenexit.calibration.clock.timed import repeated, sizes, spread

CPU = torch.device("cpu")


def work(names, batches, log):
    return [[lambda n=n, b=b: log.append((n, b)) for b in range(batches)] for n in names]


@pytest.mark.parametrize(("seconds", "passes"), [(100.0, LEAST), (0.0, MOST), (0.25, 9)])
def test_everybody_does_everything_in_turns(seconds, passes):
    log: list[tuple[str, int]] = []
    found = interleaved(
        work("ab", 2, log), CPU, texts=4, budget=10.0, watch=lambda w, _: (seconds, w())
    )
    assert found.seconds.shape == (2, passes)
    assert len(log) == 4 * (passes + 1)  # one pass does not count
    for start in range(0, len(log), 2):
        assert {name for name, _ in log[start : start + 2]} == {"a", "b"}
    firsts = [log[start][0] for start in range(0, len(log), 2)]
    assert firsts[0] != firsts[1]
    assert abs(firsts.count("a") - firsts.count("b")) <= 2


def test_milliseconds_a_text():
    passes = Passes(np.array([[1.0, 2.0, 9.0]]), texts=4)
    assert passes.ms(0) == 500
    assert passes.ms(0, 10) < 500 < passes.ms(0, 90)


@pytest.mark.parametrize(
    ("won", "count", "sure"),
    [(5, 5, True), (4, 5, False), (12, 15, True), (11, 15, False), (7, 15, False), (0, 5, False)],
)
def test_faster_means_in_more_passes_than_by_chance(won, count, sure):
    first = np.where(np.arange(count) < won, 1.0, 3.0)
    passes = Passes(np.stack([first, np.full(count, 2.0)]), texts=1)
    assert passes.faster(0, 1) == sure
    assert not passes.faster(0, 0)


def test_the_real_one_gives_what_was_done():
    taken, done = stopwatch(lambda: "done", CPU)
    assert done == "done"
    assert taken >= 0


def test_sizes_and_places():
    assert sizes(1) == [1]
    assert sizes(32) == [1, 2, 4, 8, 16, 32]
    assert sizes(6) == [1, 2, 4, 6]
    assert [repeated(size) for size in (1, 5, 16, 100)] == [16, 4, 1, 1]


@pytest.mark.parametrize(("count", "wanted"), [(1, 1), (1, 16), (10, 3), (40, 16), (7, 7), (5, 14)])
def test_places_are_of_all_lengths(count, wanted):
    lengths = [(3 * n) % count for n in range(count)]
    places = spread(lengths, wanted)
    assert len(places) == wanted
    found = sorted(lengths[place] for place in places)
    even = [(2 * n + 1) * count // (2 * wanted) for n in range(wanted)]
    assert found == even
    if wanted >= 14 and count > 10:
        half = [lengths[place] for place in places[: wanted // 2]]
        assert min(half) < count / 4 < 3 * count / 4 < max(half)
