"""Who is first of a comparison, and by more than the spread between seeds or not."""

from __future__ import annotations

import pytest

from tokenexit.reporting.comparison_files import write_comparison
from tokenexit.reporting.comparison_lead import lead


def rows(**areas):
    return [
        {"method": method, "seed": seed, "area": area}
        for method, found in areas.items()
        for seed, area in enumerate(found)
    ]


def test_ahead_on_every_seed_by_more_than_the_spread():
    found = rows(
        first=(0.80, 0.82),
        far=(0.70, 0.71),  # 0.105 behind, spread 0.014
        near=(0.79, 0.81),  # behind on both, by less than the spread
        crossing=(0.81, 0.75),  # ahead on one
    )
    assert lead(found) == ("first", ["far"], ["near", "crossing"])


def test_a_wild_one_is_not_clearly_beaten():
    assert lead(rows(first=(0.80, 0.80), wild=(0.55, 0.79))) == ("first", [], ["wild"])


def test_baselines_and_what_lacks_a_seed_take_no_part():
    found = rows(single=(0.9, 0.9), first_layers=(0.95, 0.95), a=(0.8, 0.8), b=(0.7, 0.7))
    found.append({"method": "late", "seed": 0, "area": 0.99})
    found.append({"method": "failed", "seed": 0, "error": "no"})
    assert lead(found) == ("a", ["b"], [])


@pytest.mark.parametrize(
    "found", [[], rows(a=(0.8,), b=(0.7,)), rows(single=(0.9, 0.9), a=(0.8, 0.8))]
)
def test_nothing_can_be_said(found):
    assert lead(found) is None


def test_the_table_tells_it(tmp_path):
    def run(method, seed, quality):
        point = {
            "kind": "full", "policy": "{}", "value": None, "split": "test", "quality": quality,
            "relative_quality": 1.0, "mean_exit_layer": 4.0, "depth_speedup": 1.0,
            "mac_ratio": 1.0,
        }  # fmt: skip
        return {
            "method": method, "seed": seed, "paper": "own", "trained_by": method,
            "points": [point], "guess": 0.0, "overhead": None, "clock": None, "num_layers": 4,
            "plain_macs": 10, "uniform_depth": True,
            "calibrated": {**point, "metric": "f1", "n_rows": 9, "quality_full_depth": quality},
        }  # fmt: skip

    qualities = {"a": (0.9, 0.91), "b": (0.5, 0.51), "c": (0.9, 0.9)}
    settings = {
        "model": "m", "data": "d", "level": "token",
        "train": {"max_steps": 3, "epochs": 1, "batch_size": 2, "lr": 0.1, "head_lr": 0.1},
    }  # fmt: skip
    runs = {f"{m}{s}": run(m, s, q) for m, pair in qualities.items() for s, q in enumerate(pair)}
    told = write_comparison(tmp_path, {"settings": settings, "runs": runs}).read_text("utf-8")
    assert (
        "By AUC `a` is first, on every seed by more than the spread between seeds before `b`, "
        "but not by so much before `c`." in told
    )
    assert "fewer seeds" not in told
    del runs["b0"]
    told = write_comparison(tmp_path, {"settings": settings, "runs": runs}).read_text("utf-8")
    assert "With fewer seeds than the others: `b`." in told
    del runs["b1"]
    told = write_comparison(tmp_path, {"settings": settings, "runs": runs}).read_text("utf-8")
    assert "By AUC `a` is first, but not by so much before `c`." in told
