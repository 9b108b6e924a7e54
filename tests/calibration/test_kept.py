"""A share of quality is a promise about unseen texts, unless a target is asked for."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tokenexit.calibration import CalibrateConfig, calibrate
from tokenexit.calibration.loose import loosest
from tokenexit.calibration.rows.config import ReducerGoal
from tokenexit.errors import UserError
from tokenexit.guarantees.losses import LOSSES
from tokenexit.policies import Entropy
from tokenexit.promises.sentences import promise_sentences
from tokenexit.tasks import TASKS


def ask(tagger, splits, share=0.8, **asked):
    told = {name: asked.pop(name) for name in ("looks",) if name in asked}
    config = CalibrateConfig(min_quality=share, grid=8, verify=1, **asked)
    given = {"families": [Entropy()], "design": splits["train"], **told}
    return calibrate(tagger, splits["validation"], config, **given)


def test_it_is_tested_on_all_texts(tagger, splits):
    found = ask(tagger, splits)
    assert found.reached
    assert found.target == {"min_quality": 0.8, "guarantee": "f1 kept >= 0.8 with 90%"}
    assert found.measured["n_sentences"] == len(splits["validation"])
    promise = found.promise
    assert promise["n"] == len(set(splits["validation"].keys()))
    assert promise["tests"][0][0]["bound"] == "betting"
    assert found.chosen["relative_quality"] >= 0.8
    assert promise["loose"]["depth_speedup"] >= found.chosen["depth_speedup"] > 1
    assert promise["loose"]["relative_quality"] >= 0.8
    told = " ".join(promise_sentences(found.to_json(), {}))
    assert "to promise f1 kept >= 0.8 with 90%; there it kept" in told
    assert "at least 80% of full depth's F1 is kept" in told
    assert "a target on these texts alone" in told
    assert "no promise about other" not in told


def test_too_few_texts_halt_nobody(tagger, splits, caplog):
    with caplog.at_level(logging.WARNING, logger="tokenexit"):
        found = ask(tagger, splits, 0.99)
    assert found.policy == {"name": "never"}
    [line] = [record.getMessage() for record in caplog.records]
    needed = found.promise["needed"]["f1 kept >= 0.99 with 90%"]
    assert f"cannot be promised on 45 texts: {needed} are needed" in line
    assert f"Add {needed - 45} texts" in line
    assert "calibrate.loose=true" in line
    assert found.promise["loose"]["depth_speedup"] > 1  # which is the price
    told = " ".join(promise_sentences(found.to_json(), {}))
    assert f"needs {needed} texts even if nothing is lost, and 45 tested it" in told
    assert "that is what the promise costs" in told


def test_models_that_the_texts_chose_among_share_the_level(tagger, splits):
    alone, shared = ask(tagger, splits), ask(tagger, splits, looks=4, confidence=0.8)
    assert shared.target["guarantee"] == "f1 kept >= 0.8 with 80%"
    assert shared.promise["tests"][0][0]["guarantee"] == "f1 kept >= 0.8 with 95%"
    assert shared.chosen["depth_speedup"] <= alone.chosen["depth_speedup"]
    told = " ".join(
        promise_sentences(shared.to_json() | {"data_used_for": ["choosing the epoch"]}, {})
    )
    assert "One of 4 evaluated models was chosen on the same texts" in told
    assert "with 80% probability" in told
    assert "does not strictly hold" not in told


def test_a_target_is_told_as_one(tagger, splits):
    found = ask(tagger, splits, loose=True)
    assert found.target == {"min_quality": 0.8}
    assert found.promise is None
    could = found.measured["could_be_promised"]
    assert could["loss"] == "f1 kept"
    assert could["at_least"] < found.chosen["relative_quality"]
    told = " ".join(promise_sentences(found.to_json(), {}))
    assert "for a target, to keep at least 80%" in told
    assert f"f1 kept >= {could['at_least']:.4g} could be promised with 90% from 45 texts" in told


@pytest.mark.parametrize("name", [name for name, _ in TASKS.items()])
def test_every_task_says_what_is_promised(name):
    loss = LOSSES.get(TASKS.get(name)().kept_by(None))
    assert loss.at_least
    assert loss.labelled


def test_nothing_to_lose_cannot_be_promised():
    with pytest.raises(UserError, match=r"leaves exits nothing to lose.*calibrate\.loose=true"):
        CalibrateConfig(min_quality=1.0)


@pytest.mark.parametrize(
    "asked",
    [
        {"loose": True},
        {"minimise": "time"},
        {"speedup": 2.0},
        {"risk": 0.1},
        {"guarantee": "differs <= 0.1"},
        {"reducer": ReducerGoal("threshold")},
        {"promises": {"mine": 1.0}},
    ],
    ids=str,
)
def test_what_is_no_promise_of_quality(asked):
    assert CalibrateConfig().promises_quality
    assert not CalibrateConfig(**asked).promises_quality


@pytest.mark.parametrize("done", range(5))
@pytest.mark.parametrize("last", range(6))
def test_the_loosest_that_is_as_asked_is_found(done, last):
    """Settings up to ``last`` are; ``done`` of five were run before."""
    runs: list[int] = []
    settings: Any = range(1, 6)
    known: Any = range(1, done + 1)
    found: Any = loosest(settings, known, lambda n: n <= last, lambda n: runs.append(n) or n)  # type: ignore[func-returns-value]
    assert found == (last or None)
    assert all(n > done for n in runs)
