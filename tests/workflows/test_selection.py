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
from tokenexit.workflows.record import training_record
from tokenexit.workflows.run import run_task
from tokenexit.workflows.selection import (
    COUNT,
    EPOCH,
    FITTING,
    FITTING_GATE,
    LISTED,
    LOOKS,
    POLICY,
    RECORD,
    REDUCER,
    STOPPING,
    TRAINING,
    chosen_before,
    looks_before,
    not_known,
    noted,
    selection,
    used_before,
    uses_of,
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
    told = {"data": "corpora/news", RECORD: [EPOCH], COUNT: 100, LOOKS: 1}
    assert used_before(told, "runs/ner", "corpora/news", "validation") == []
    assert used_before({**told, LOOKS: 2}, "runs/ner", "corpora/news", "validation") == [EPOCH]
    assert used_before({**told, COUNT: 0}, "runs/ner", "corpora/news", "validation") == [EPOCH]


def test_a_model_says_among_how_many_its_texts_chose():
    assert looks_before({LOOKS: 4}, [EPOCH]) == 4
    assert looks_before({LOOKS: 4}, []) == looks_before({LOOKS: 4}, [FITTING]) == 1
    assert looks_before({}, [EPOCH]) == looks_before(None, [EPOCH]) == 1  # of before


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


def test_a_run_says_what_its_data_served_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    made = {"data": "corpora/news", RECORD: [EPOCH, FITTING]}

    def used(data: str, name: str = "validation", training=made) -> list[str]:
        return used_before(training, "runs/ner", data, name)

    assert used("corpora/news") == used(str(tmp_path / "corpora/news")) == [EPOCH, FITTING]
    assert used("corpora/news", "train") == [TRAINING]
    assert used("corpora/news", "test") == used("corpora/other") == []
    assert used("corpora/news", training={"data": "corpora/news"}) == [EPOCH]  # of before
    assert used("runs/ner/data", training={**made, "data": "generated"}) == [EPOCH, FITTING]
    assert used("corpora/news", training=None) == used("x", training={"data": {"a": 1}}) == []


def test_texts_are_known_by_what_they_say():
    """Wherever they lie, in whatever order, whole or in part."""
    held = selection(split(400), CalibrateConfig(), [EPOCH], words("train", 300))
    told = {"data": "corpora/news", **training_record(TaggingConfig(output_dir="run"), held)}
    told = {**told, "data": "corpora/news", LOOKS: 6}

    def used(texts: TaggedSplit) -> list[str]:
        return used_before(told, "runs/ner", "elsewhere", "all", texts)

    whole = split(400)
    bare = replace(whole, tags=None)  # read without answers
    for texts in (whole, bare, whole.take(range(399, -1, -1)), whole.take(range(1, 400)),
                  whole.take(range(40)), split(2000)):  # fmt: skip
        assert used(texts) == [EPOCH]
    assert looks_before(told, used(whole)) == 6
    assert used(words("train", 300)) == [TRAINING]
    assert used(words("other", 300)) == []
    # Short texts come again by themselves.
    assert used(join(words("other", 300), split(9))) == []
    assert used(join(words("other", 300), split(100))) == [EPOCH]
    # The name of a split says nothing where its texts are known.
    assert used_before(told, "runs/ner", "corpora/news", "validation", words("x", 9)) == []
    assert not_known(told, "runs/ner", "elsewhere") == []


def words(name: str, count: int) -> TaggedSplit:
    return TaggedSplit([[name, str(n)] for n in range(count)], [["O", "O"]] * count, "here")


def join(one: TaggedSplit, other: TaggedSplit) -> TaggedSplit:
    return TaggedSplit([*one.tokens, *other.tokens], [*(one.tags or []), *(other.tags or [])], "x")


def test_half_of_a_split_that_chose_is_that_half():
    held = selection(split(100), RISK, [EPOCH])
    record = TaggingConfig(output_dir="run")

    def used(held, texts: TaggedSplit) -> list[str]:
        return used_before(training_record(record, held), "run", "data", "test", texts)

    two = held.after(50, looks=2)
    assert used(two, held.choosing) == used(two, split(100)) == [EPOCH]
    assert used(two, held.calibrating) == []
    assert used(held.after(100, looks=2), held.calibrating) == [EPOCH]  # a run that was resumed


def test_what_nobody_can_tell_is_said():
    older = {"data": "corpora/news", RECORD: [EPOCH]}
    assert not_known(older, "runs/ner", "corpora/news") == []
    assert not_known(older, "runs/ner", "elsewhere") == [TRAINING, EPOCH]
    assert not_known({**older, RECORD: []}, "runs/ner", "elsewhere") == [TRAINING]
    assert not_known(None, "runs/ner", "x") == not_known(noted(None, {}), "m", "x") == [TRAINING]
    texts = split(20)
    assert chosen_before(None, texts) == chosen_before({"certificate": {}}, texts) == ([], [])
    assert chosen_before({"policy": {}}, texts) == ([], [POLICY])
    told = noted({"policy": {}}, {POLICY: [texts], LISTED: [words("list", 9), None]})
    assert chosen_before(told, texts) == ([POLICY], [])
    assert chosen_before(told, words("list", 9)) == ([LISTED], [])
    assert chosen_before(noted(told, {POLICY: [split(0)]}), texts) == ([], [])


def test_gates_and_reducers_that_texts_chose_are_told():
    texts = split(20)
    told = noted({"data": "corpora/news", RECORD: []}, {FITTING_GATE: [texts], REDUCER: [texts]})
    assert used_before(told, "runs/ner", "x", "test", texts) == [FITTING_GATE, REDUCER]
    told = noted(told, {REDUCER: []})
    assert used_before(told, "runs/ner", "x", "test", texts) == [FITTING_GATE]


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
