"""Figures of a comparison of methods, against sums done by hand, and the picture."""

from __future__ import annotations

import csv
import itertools
from xml.etree import ElementTree

import pytest

from tokenexit.reporting.comparison import chosen, means, measured, suggested, summaries
from tokenexit.reporting.comparison_figure import BEST, comparison_figure, drawn_lines
from tokenexit.reporting.comparison_files import table, write_comparison

SVG = "{http://www.w3.org/2000/svg}"


def point(cost, quality, kind="engine", layer=None, layers=4):
    layer = cost * layers if layer is None else layer
    return {
        "kind": kind, "policy": "{}", "value": 0.1, "split": "test", "quality": quality,
        "relative_quality": 1.0, "mean_exit_layer": layer, "depth_speedup": layers / layer,
        "mac_ratio": cost,
    }  # fmt: skip


def run(method, full, *points, seed=0, **changes):
    one = {
        "method": method, "seed": seed, "paper": "A et al. 2020", "trained_by": f"{method}-seed0",
        "points": [point(1.0, full, "full"), *points],
        "calibrated": {**point(0.5, 0.8), "metric": "accuracy", "n_rows": 9,
                       "quality_full_depth": full, "relative_quality": 0.8 / full},
        "guess": 0.1, "overhead": 0.01, "clock": None, "num_layers": 4,
        "plain_macs": 1000, "uniform_depth": True,
    }  # fmt: skip
    return {**one, **changes}


@pytest.fixture
def runs():
    return {
        "single-seed0": run("single", 0.92, overhead=None),
        "first_layers-seed0": run(
            "first_layers", 0.9, point(0.25, 0.5, "static"), point(0.5, 0.7, "static")
        ),
        "quick-seed0": run("quick", 0.9, point(0.25, 0.6), point(0.5, 0.895), point(0.4, 0.1)),
        "bad-seed0": {"method": "bad", "seed": 0, "paper": "B 2021", "error": "it | broke"},
    }


def rows_of(runs):
    return {row["name"]: row for row in summaries(runs)}


def test_the_elue_score_against_points_of_ones_own(runs):
    del runs["first_layers-seed0"]
    assert rows_of(runs)["quick-seed0"]["elue"] is None
    told = {row["name"]: row for row in summaries(runs, [[0.5, 0.9], [0.25, 0.5]])}
    # 0.6 - 0.5, 0.895 - 0.9, and at 0.4 the line is at 0.74.
    assert told["quick-seed0"]["elue"] == pytest.approx((0.1 - 0.005 - 0.64) / 3)


def test_measures_of_one_method(runs):
    row = rows_of(runs)["quick-seed0"]
    # 0.25 to 0.5 at (0.6 + 0.895) / 2 and 0.5 to 1 at (0.895 + 0.9) / 2; 0.2 to 0.25 on the line
    # from the guess at cost 0, so from 0.5 to 0.6.
    whole = 0.05 * 0.55 + 0.25 * 0.7475 + 0.5 * 0.8975
    assert row["area"] == pytest.approx(whole / 0.8)
    assert row["quality_2x_macs"] == pytest.approx(0.895)
    assert row["quality_3x_layers"] == pytest.approx(0.6 + 0.295 / 3)
    # The baseline has 0.5 at 0.25, 0.7 at 0.5 and 0.62 at 0.4.
    assert row["elue"] == pytest.approx((0.1 + 0.195 - 0.52) / 3)
    assert row["against_single"] == pytest.approx(-0.02)
    assert (row["layers_saved_at_99"], row["kept_99_at_1.5x"]) == (2.0, True)
    assert row["calibrated_kept_99_at_1.5x"] is False  # 0.8 was kept of 0.9
    assert row["settings"] == 3


def seen(validation, test):
    """A setting's cost and quality on the two splits."""
    (cost, quality), known = validation, point(*test)
    return {**known, "validation_quality": quality, "validation_mac_ratio": cost}


def test_settings_are_chosen_on_validation_alone():
    points = [
        seen((0.5, 0.80), (0.52, 0.7)),  # best there at 2x, though not on test
        seen((0.4, 0.75), (0.38, 0.9)),
        seen((0.3, 0.75), (0.31, 0.6)),
        seen((0.6, 0.99), (0.45, 0.99)),  # too dear there
    ]
    assert chosen(points, 2.0)["quality"] == 0.7
    assert chosen(points, 2.5)["quality"] == 0.6  # of equals the cheapest
    assert chosen(points, 1.5)["quality"] == 0.99
    assert chosen(points, 4.0) is None
    assert chosen([point(0.1, 0.9)], 2.0) is None  # nothing known of validation


def test_methods_are_ranked_by_what_was_chosen(runs):
    runs["quick-seed0"]["points"].append(seen((0.5, 0.9), (0.5, 0.3)))
    runs["slow-seed0"] = run("slow", 0.5, seen((0.5, 0.9), (0.5, 0.4)))
    names = [row["name"] for row in summaries(runs)]
    assert names[:3] == ["slow-seed0", "quick-seed0", "first_layers-seed0"]
    assert [entry["method"] for entry in means(summaries(runs))][:2] == ["slow", "quick"]
    assert rows_of(runs)["slow-seed0"]["chosen_2x"] == 0.4
    assert rows_of(runs)["slow-seed0"]["chosen_3x"] is None
    half = {**runs["slow-seed0"], "plain_macs": 500}  # of a part of the network, all is cheaper
    assert rows_of({**runs, "slow-seed0": half})["slow-seed0"]["chosen_3x"] == 0.4
    assert "| Method | Paper | 2× |" in table(summaries(runs))


def test_the_static_points_of_another_method_are_not_its_curve(runs):
    before = rows_of(runs)["quick-seed0"]
    runs["quick-seed0"]["points"].append(point(0.2, 0.99, "static"))
    assert rows_of(runs)["quick-seed0"] == before


def test_fine_tuning_alone_has_one_setting(runs):
    row = rows_of(runs)["single-seed0"]
    assert row["quality_1.5x_macs"] is None
    assert row["layers_saved_at_99"] == 1.0
    assert row["elue"] == pytest.approx(0.02)


def test_rows_are_sorted_and_what_failed_comes_last(runs):
    names = [row["name"] for row in summaries(runs)]
    assert names == ["quick-seed0", "first_layers-seed0", "single-seed0", "bad-seed0"]
    assert rows_of(runs)["bad-seed0"]["error"] == "it | broke"


def test_without_the_baselines_what_needs_them_is_missing(runs):
    row = rows_of({"quick-seed0": runs["quick-seed0"]})["quick-seed0"]
    assert row["elue"] is None
    assert row["against_single"] is None


def test_a_part_of_the_encoder_is_measured_against_the_whole(runs):
    runs["half-seed0"] = run("half", 0.9, num_layers=2, plain_macs=500, clock=[{"setting": "x"}])
    half = runs["half-seed0"]
    half["points"] = [point(1.0, 0.9, "full", layer=2, layers=2)]
    half["calibrated"] = {**half["calibrated"], **point(1.0, 0.9, layer=2, layers=2)}
    whole = measured(runs)["half-seed0"]
    assert (whole["points"][0]["mac_ratio"], whole["points"][0]["depth_speedup"]) == (0.5, 2.0)
    assert whole["overhead"] == 0.005
    assert whole["clock"] is None  # its own plain network is not the whole one
    row = rows_of(runs)["half-seed0"]
    assert row["quality_2x_macs"] == pytest.approx(0.9)
    assert row["layers_saved_at_99"] is None  # 0.9 is less than 99% of 0.92


def test_models_of_a_cascade_are_no_layers(runs):
    runs["two-seed0"] = run("two", 0.9, point(0.4, 0.899, layer=1.5, layers=2), uniform_depth=False)
    row = rows_of(runs)["two-seed0"]
    assert row["layers_saved_at_99"] == pytest.approx(2.5)


def test_means_over_seeds(runs):
    again = {
        f"{name}-again": {**one, "seed": 1}
        for name, one in runs.items()
        if "error" not in one and one["method"] != "quick"
    }
    other = run("quick", 0.94, point(0.25, 0.6), point(0.5, 0.895), point(0.4, 0.1), seed=1)
    entry = next(
        e for e in means(summaries({**runs, **again, "q1": other})) if e["method"] == "quick"
    )
    assert entry["seeds"] == 2
    assert entry["full_depth"] == (pytest.approx(0.92), pytest.approx(0.02 * 2**0.5))
    assert entry["kept_99_at_1.5x"] == 1  # of 0.94 no setting keeps 99%


def test_a_value_that_one_seed_lacks_has_no_mean(runs):
    other = run("quick", 0.9, point(0.6, 0.8), seed=1)
    entry = next(e for e in means(summaries({**runs, "q1": other})) if e["method"] == "quick")
    assert entry["quality_2x_macs"] is None
    assert entry["quality_1.5x_macs"] is not None


def test_the_table(runs):
    runs["quick-seed0"]["clock"] = [
        {"setting": "calibrated", "speedup_median": 1.5, "speedup_p10": 1.4, "speedup_p90": 1.61},
        {"setting": "near 2x", "speedup_median": 1.9, "speedup_p10": 1.8, "speedup_p90": 2.0},
    ]
    lines = table(summaries(runs)).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    cells = [cell.strip() for cell in lines[2].split("|")[1:-1]]
    assert cells[:7] == ["`quick`", "A et al. 2020", "–", "–", "–", "90.0", "-2.0"]
    assert cells[9:12] == ["2.00×", "1.00%", "1.50× (1.40–1.61)"]
    assert cells[-1] == "2.00×"
    assert rows_of(runs)["quick-seed0"]["clock_best"] == 1.9


def test_the_files(runs, tmp_path):
    settings = {
        "model": "M", "data": "D", "level": "sentence",
        "train": {"max_steps": None, "epochs": 3, "batch_size": 16, "lr": 2e-5, "head_lr": 1e-3},
    }  # fmt: skip
    path = write_comparison(tmp_path, {"command": "do it", "settings": settings, "runs": runs})
    text = path.read_text(encoding="utf-8")
    assert "3 epochs of 16" in text
    settings |= {"train_on": 2000, "train": {**settings["train"], "epochs": 1}}
    again = write_comparison(tmp_path, {"command": "", "settings": settings, "runs": runs})
    told = again.read_text(encoding="utf-8")
    assert "1 epoch over 2000 training texts, in batches of 16" in told
    assert "```\ndo it\n```" in text
    assert "- `bad-seed0`: it | broke" in text
    later = {name: {**run, "command": "then this"} for name, run in list(runs.items())[:2]}
    both = write_comparison(
        tmp_path, {"command": "do it", "settings": settings, "runs": runs | later}
    )
    assert "```\nthen this\ndo it\n```" in both.read_text(encoding="utf-8")
    with (tmp_path / "curves.csv").open(encoding="utf-8") as file:
        curves = list(csv.DictReader(file))
    assert len(curves) == 1 + 3 + 4
    assert {row["method"] for row in curves} == {"single", "first_layers", "quick"}
    with (tmp_path / "comparison.csv").open(encoding="utf-8") as file:
        assert [row["error"] for row in csv.DictReader(file)] == ["", "", "", "it | broke"]


def test_nothing_measured(tmp_path):
    runs = {"bad-seed0": {"method": "bad", "seed": 0, "paper": "B", "error": "no"}}
    assert comparison_figure(runs) is None
    assert summaries(runs)[0]["error"] == "no"


def test_the_picture_names_the_best_of_many(runs):
    del runs["quick-seed0"]
    for number in range(30):
        quality = 0.6 + number / 100
        runs[f"m{number}-seed0"] = run(f"m{number}", 0.9, point(0.4, quality), point(0.2, 0.5))
    lines = drawn_lines(runs)
    named = [line.name for line in lines if line.colour]
    # m29 has 0.89 at 0.4; the baseline is named whatever its place.
    assert named == ["first_layers", *(f"m{n}" for n in (25, 26, 27, 28, 29))]
    assert len(named) == BEST + 1
    assert len(lines) == 31  # fine-tuning alone is a point
    assert [line.name for line in lines if line.dashed] == ["first_layers"]
    on_both = {"validation_quality": 0.95, "validation_mac_ratio": 0.6}
    first = run("m0", 0.9, {**point(0.6, 0.95), **on_both}, point(0.4, 0.6), point(0.2, 0.5))
    of_more = drawn_lines({**runs, "m0-seed0": first})
    assert "m0" in [line.name for line in of_more if line.colour]  # at 1.5x, and last at 2x

    figure = comparison_figure(runs)
    assert figure is not None
    root = ElementTree.fromstring(figure)
    paths = [p for p in root.iter(f"{SVG}path") if p.get("class", "").startswith("line")]
    assert len(paths) == 31
    assert sum("grey" in p.get("class", "") for p in paths) == 25
    names = {
        t.text: float(t.get("y", 0)) for t in root.iter(f"{SVG}text") if t.get("class") == "name"
    }
    assert set(names) == set(named)
    heights = sorted(names.values())
    assert min(b - a for a, b in itertools.pairwise(heights)) >= 16
    assert 0 < heights[0] < heights[-1] < float(root.get("height", 0))


def test_a_long_name_is_seen_whole(runs):
    name = "past_future(inner=64)+halt_and_copy(weights=uniform)"
    runs["long-seed0"] = run(name, 0.95, point(0.4, 0.93), point(0.2, 0.6))
    root = ElementTree.fromstring(str(comparison_figure(runs)))
    text = next(t for t in root.iter(f"{SVG}text") if t.text == name)
    assert float(root.get("width", 0)) >= float(text.get("x", 0)) + 8 * len(name)


def test_what_saves_most_and_keeps_the_single_heads_quality_is_suggested(runs):
    def one(name, quality, cost, seed=0):
        found = run(name, 0.9, seed=seed)
        changed = {**point(cost, quality), "relative_quality": quality / 0.9}
        return {**found, "calibrated": {**found["calibrated"], **changed}}

    assert suggested(summaries({})) == (None, False)
    best, enough = suggested(summaries(runs))
    assert (best["method"], enough) == ("quick", False)  # 0.8 of 0.92 is too little
    runs["careful-seed0"] = one("careful", 0.919, 0.5)
    runs["bold-seed0"] = one("bold", 0.915, 0.25)
    runs["wild-seed0"] = one("wild", 0.5, 0.1)
    rows = summaries(runs)
    assert rows_of(runs)["bold-seed0"]["calibrated_of_single"] == pytest.approx(0.915 / 0.92)
    best, enough = suggested(rows)
    assert (best["method"], enough) == ("bold", True)
    runs["single-seed1"] = run("single", 0.96, overhead=None, seed=1)
    runs["careful-seed1"] = one("careful", 0.96, 0.5, seed=1)
    runs["bold-seed1"] = one("bold", 0.915, 0.25, seed=1)  # on the mean it keeps too little
    assert suggested(summaries(runs))[0]["method"] == "careful"
    runs["lucky-seed1"] = one("lucky", 0.96, 0.2, seed=1)  # one seed is no match for two
    assert suggested(summaries(runs))[0]["method"] == "careful"


def test_the_table_tells_the_suggestion(runs, tmp_path):
    settings = {
        "model": "m", "data": "d", "level": "token",
        "train": {"max_steps": 3, "epochs": 1, "batch_size": 2, "lr": 0.1, "head_lr": 0.1},
    }  # fmt: skip
    content = {"settings": settings, "runs": runs}
    assert "No calibrated policy keeps 99%" in write_comparison(tmp_path, content).read_text(
        "utf-8"
    )
    runs["quick-seed0"]["calibrated"]["quality"] = 0.92
    told = write_comparison(tmp_path, content).read_text("utf-8")
    assert "that of `quick` saves most: 2.00× fewer layers at 100.0%" in told
    assert "test words" in told
