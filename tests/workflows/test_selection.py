"""Texts that something was chosen on do not test a promise, or it is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tokenexit.calibration import CalibrateConfig
from tokenexit.calibration.dealing import halves
from tokenexit.calibration.guarantee import needs
from tokenexit.calibration.risk import RiskControl
from tokenexit.data.pairs import PairSplit
from tokenexit.data.tagged import TaggedSplit
from tokenexit.training import TrainConfig
from tokenexit.workflows.config import TaggingConfig
from tokenexit.workflows.run import run_task
from tokenexit.workflows.selection import selection, uses_of
from tokenexit.workflows.served_texts import (
    EPOCH,
    FITTING,
    STOPPING,
)

pytestmark = pytest.mark.slow

RISK = CalibrateConfig(risk=0.05, delta=0.1)


def split(count: int) -> TaggedSplit:
    return TaggedSplit([[str(n)] for n in range(count)], [["O"]] * count, "here")


@pytest.mark.parametrize("count", [2, 3, 89, 90])
def test_a_promise_is_tested_on_texts_nobody_saw(count: int):
    held = selection(split(count), RISK, [EPOCH])
    chose, tested = ({words[0] for words in s.tokens} for s in (held.choosing, held.calibrating))
    assert not chose & tested
    assert len(chose | tested) == count
    assert held.design is held.choosing
    assert (held.used_for, held.served_for) == ([], [EPOCH])


def test_pairs_are_dealt_out_alike():
    pairs = PairSplit([str(n) for n in range(5)], None, None, "here")
    held = selection(pairs, RISK, [STOPPING])
    assert sorted(held.choosing.sources + held.calibrating.sources) == pairs.sources


@pytest.mark.parametrize(
    ("config", "uses", "count"),
    [(CalibrateConfig(min_quality=0.99), [EPOCH], 50), (RISK, [], 50), (RISK, [EPOCH], 1)],
)
def test_otherwise_all_texts_serve_for_both_and_it_is_known(config, uses, count):
    texts = split(count)
    held = selection(texts, config, uses)
    assert held.choosing is held.calibrating is texts
    assert held.design is None
    assert held.used_for == uses


def test_epochs_share_what_may_go_wrong_where_quality_is_promised():
    """All texts choose and test, unless heads are fitted to them: those are endlessly many."""
    config, train = CalibrateConfig(), split(30)
    held = selection(split(100), config, [EPOCH], train)
    assert held.choosing is held.calibrating
    assert held.design is not None
    assert len(held.design) == 30
    assert held.after(100, looks=3).shared_by == 3
    assert held.after(0, looks=3).shared_by == 3
    assert selection(split(100), config, [], train).after(100, looks=3).shared_by == 1
    halved = selection(split(100), config, [EPOCH, FITTING], train)
    assert len(halved.calibrating) == 50
    assert halved.after(50, looks=3).shared_by == 1
    loose = selection(split(100), CalibrateConfig(loose=True), [FITTING], train)
    assert loose.choosing is loose.calibrating


def test_texts_that_chose_among_one_model_chose_nothing():
    held = selection(split(100), CalibrateConfig(), [EPOCH], split(30))
    assert held.after(100, looks=1).spent_on == []
    assert held.after(100, looks=3).spent_on == [EPOCH]
    assert held.after(0, looks=1).spent_on == [EPOCH]  # it is not known what did
    loose = selection(split(100), CalibrateConfig(loose=True), [EPOCH, FITTING], split(30))
    assert loose.after(100, looks=1).spent_on == [EPOCH, FITTING]


@pytest.mark.parametrize("chosen_on", [0, 50, 100])
def test_a_training_that_began_with_other_texts_is_found_out(chosen_on: int):
    """The promise was asked for when the run was resumed; half is not what chose until then."""
    held = selection(split(100), RISK, [EPOCH])
    assert held.after(chosen_on).used_for == ([] if chosen_on == 50 else [EPOCH])
    assert held.after(chosen_on).chosen_on == chosen_on


@pytest.mark.parametrize(
    ("settings", "fitted", "uses"),
    [
        ({}, None, [EPOCH]),
        ({"epochs": 1}, None, []),
        ({"epochs": 1, "max_steps": 9}, None, [EPOCH]),
        ({"keep_best": False}, None, []),
        ({"keep_best": False, "patience": 2}, None, [STOPPING]),
        ({"epochs": 1}, "validation", [FITTING]),
        ({"epochs": 1}, "train", []),
    ],
)
def test_what_the_validation_split_serves_for(settings, fitted, uses):
    heads = SimpleNamespace(layers=(1,), at=lambda _: SimpleNamespace(fitted_on=fitted))
    assert uses_of(TrainConfig(**settings), heads) == uses


@pytest.mark.parametrize(
    ("promise", "alone"),
    [(RiskControl(0.05, 0.1), 45), (RiskControl(0.01, 0.05), 299), (RiskControl(0.05), 19)],
)
def test_the_number_of_texts_that_are_needed_is_the_right_one(promise: RiskControl, alone: int):
    assert f"takes {alone} or more" in needs(promise, 10, 0)
    told = needs(promise, 10, 10)
    whole = 2 * alone - 1
    assert f"the split needs {whole} or more" in told
    for count, enough in ((whole, True), (whole - 1, False)):
        _, tested = halves(count, 2)
        assert promise.keeps(np.zeros(len(tested))) == enough


def test_the_promise_is_broken_no_oftener_than_said():
    """Worst case: epochs differ by chance alone, and the luckiest is kept and then tested."""
    promise, rng = RiskControl(0.1, 0.1), np.random.default_rng(0)
    texts, epochs, draws = 400, 20, 400
    risks = np.array([0.02, 0.05, 0.102, 0.2])  # of the settings, from strict to loose
    broken = {"split": 0, "same": 0}
    for _ in range(draws):
        # A text is lost at every setting that is looser than the one it can bear.
        hard = rng.random((epochs, texts))[:, None, :] < risks[None, :, None]
        for way, chosen in (("split", slice(0, texts // 2)), ("same", slice(None))):
            best = hard[:, 2, chosen].mean(axis=1).argmin()
            tested = slice(texts // 2, None) if way == "split" else slice(None)
            kept = promise.last(losses.astype(float) for losses in hard[best][:, tested])
            broken[way] += bool(kept and risks[kept - 1] > promise.risk)
    slack = 3 * np.sqrt(0.1 * 0.9 / draws)
    assert broken["split"] / draws <= 0.1 + slack
    assert broken["same"] / draws > 0.1 + slack  # which is why the split is dealt out


def test_the_help_of_the_recipes_knows_the_default():
    limit = CalibrateConfig.__dataclass_fields__["limit"]
    assert limit.default is None
    assert "all by default" in limit.metadata["help"]
    assert replace(RISK, limit=5).limit == 5


def test_a_certificate_of_a_recipe_says_which_texts_were_trained_on(
    corpus: Path, tmp_path: Path, small_bert: dict
):
    run_task(
        TaggingConfig(
            output_dir=str(tmp_path / "run"),
            data=str(corpus),
            model=small_bert,
            train=TrainConfig(max_steps=3),
            calibrate=CalibrateConfig(guarantee="differs <= 0.9 with 60%", grid=4),
        )
    )
    told = json.loads((tmp_path / "run" / "certificate.json").read_text("utf-8"))
    # All validation texts are training texts; one half of them chose, and these did not.
    assert told["data"]["trained_on"] == told["data"]["texts"] == 23
    assert told["data"]["used_for"] == []
