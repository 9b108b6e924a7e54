"""The curve of a reducer: which settings are run, with what, and that nothing is left changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from tokenexit import reducers
from tokenexit.files import write_json
from tokenexit.reporting.comparison_curves import pooled
from tokenexit.widths import Widths
from tokenexit.workflows.compare_methods_config import CompareMethodsConfig
from tokenexit.workflows.method_runs import plan
from tokenexit.workflows.reducer_curve import (
    dial_of,
    reduced_by,
    reducer_settings,
    reducer_text,
    sweep_reducer,
)


@dataclass
class Model:
    """Remembers its reducer, as models do."""

    settings: Any

    def use_reducer(self, reducer):
        self.settings = SimpleNamespace(reducer=reducer)


def test_settings_of_a_threshold(tmp_path):
    found = reducer_settings(tmp_path, reducers.Significance(0.8), 6)
    assert [None if one is None else one.ratio for one in found] == [
        None, 1.0, 0.7625, 0.525, 0.2875, 0.05, 0.8,
    ]  # fmt: skip
    assert reducer_settings(tmp_path, reducers.Significance(0.8), 1) == [
        None,
        reducers.Significance(0.8),
    ]


def test_settings_of_a_calibration_are_its_frontier(tmp_path):
    def one(share, quality, macs):
        reducer = reducers.Significance(1.0, shares=(share,)).to_config()
        told = {"quality": quality, "relative_quality": quality, "mac_ratio": macs}
        return {"reducer": reducer, **told}

    front = [one(n / 10, n / 10, n / 10) for n in range(9, 0, -1)]
    write_json(tmp_path / "reducer.json", {"tried": [*front, one(0.95, 0.2, 0.95)]})
    own = reducers.Significance(1.0, shares=(0.9,))
    found = reducer_settings(tmp_path, own, 5)
    assert [one.shares[0] for one in found if one is not None] == [0.9, 0.6, 0.4, 0.1]
    assert len(reducer_settings(tmp_path, own, 40)) == 10


def test_each_setting_is_run_with_its_reducer_once():
    own = reducers.Significance(0.8)
    model, ran = Model(SimpleNamespace(reducer=own.to_config())), []

    def run_one(policy):
        ran.append(model.settings.reducer)
        figures = dict.fromkeys(("mean_exit_layer", "depth_speedup", "mac_ratio"), 1.0)
        return SimpleNamespace(split="test", quality=0.5, relative_quality=1.0, **figures)

    found: dict[str, Any] = {"points": []}
    for _ in range(2):
        for _ in sweep_reducer(model, [None, own], run_one, found):
            pass
    assert ran == [None, own.to_config()]
    assert model.settings.reducer == own.to_config()
    assert [point["value"] for point in found["points"]] == [None, 0.8]
    assert [json.loads(point["reducer"]) for point in found["points"]] == ran
    with reduced_by(model, found["points"][0]["reducer"]):
        assert model.settings.reducer is None
    with reduced_by(model, None):
        assert model.settings.reducer == own.to_config()


def test_a_curve_of_several_trainings_says_how_many():
    def run(method, macs, **more):
        return {"method": method, "seed": 0, "points": [{"mac_ratio": macs}], **more}

    runs = {
        "b-seed0": run("b", 0.5, curve="skim"),
        "skim-seed0": run("skim", 0.9),
        "c-seed0": run("c", 0.4, curve="skim"),
        "d-seed0": run("d", 0.3, curve="away"),
        "e-seed0": run("e", 0.2, curve="away"),
    }
    found = pooled(runs)
    assert list(found) == ["skim-seed0", "d-seed0"]
    skim, away = found.values()
    assert [p["mac_ratio"] for p in skim["points"]] == [0.9, 0.5, 0.4]
    assert (skim["method"], skim["trainings"]) == ("skim", 3)
    assert (away["method"], away["trainings"]) == ("away", 2)


def test_a_training_is_laid_over_a_preset():
    told = {"name": "skim-2", "method": "transkimmer", "curve": "transkimmer"}
    told["train"] = {"objective": {"name": "skim", "price": 2.0}}
    config = CompareMethodsConfig("out", methods="transkimmer", trainings=[told])
    *_, preset, own = plan(config)
    assert own.error == preset.error == ""
    assert (own.curve, own.config.train.objective["price"]) == ("transkimmer", 2.0)
    assert own.config.reducer == preset.config.reducer
    assert own.config.heads == preset.config.heads


def test_widths_are_run_by_their_share_and_set_back(tmp_path):
    told = []
    model = SimpleNamespace(
        settings=SimpleNamespace(reducer=None, widths={"heads": 1.0, "neurons": 1.0}),
        widths=Widths(),
        use_widths=told.append,
    )
    assert dial_of(model) == Widths()
    shares = [Widths(share, share) for share in (1.0, 0.75, 0.5, 0.25)]
    assert reducer_settings(tmp_path, Widths(), 9) == shares
    pruned = Widths((2, 1), (8, 4))
    assert reducer_settings(tmp_path, pruned, 9) == [pruned]
    with reduced_by(model, reducer_text(shares[2])):
        assert told == [{"heads": 0.5, "neurons": 0.5}]
    assert told[1] == model.settings.widths
