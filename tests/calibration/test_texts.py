"""Choosing a policy for a generator, by real runs."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch

from tokenexit import policies
from tokenexit.calibration import CalibrateConfig, calibrate
from tokenexit.calibration.by_runs import RUNS
from tokenexit.calibration.guarantee_texts import certify_texts
from tokenexit.data.pairs import PairSplit
from tokenexit.errors import UserError
from tokenexit.evaluation.generation import evaluate_texts
from tokenexit.models.fresh.encoder_decoder import fresh_seq2seq, train_subword_tokenizer
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.objectives import from_config as from_objective
from tokenexit.policies import from_config
from tokenexit.training.batches import MicroBatch
from tokenexit.training.seq2seq_loss import Seq2SeqLossModule
from tokenexit.workflows.recipes.pairs import training_pairs

pytestmark = pytest.mark.slow

STEPS = 300
WORDS = "red green blue one two three up down left right".split()


DRAW = random.Random(0)
ALL = [" ".join(DRAW.choices(WORDS, k=5)) for _ in range(400)]


@pytest.fixture(scope="module")
def model() -> ExitModelForSeq2SeqLM:
    """Half trained to turn five words round: its lower exits are often wrong."""
    torch.manual_seed(0)
    tokenizer = train_subword_tokenizer(ALL, 320, False)
    config = {
        "model_type": "t5", "d_model": 32, "d_kv": 8, "d_ff": 256, "num_heads": 4,
        "num_layers": 4, "num_decoder_layers": 4, "dropout_rate": 0.0,
    }  # fmt: skip
    made = ExitModelForSeq2SeqLM.from_transformers(fresh_seq2seq(config, tokenizer), tokenizer)
    pairs = training_pairs(made, turned(ALL))
    room, draw = Seq2SeqLossModule(made.train(), from_objective("joint")), random.Random(0)
    optimizer = torch.optim.AdamW(made.parameters(), lr=2e-3)
    for step in range(STEPS):
        chosen = draw.sample(pairs, 24)
        room(MicroBatch(chosen, list(range(24)), 24), step, 0.5, 0).total.div(24 * 6).backward()
        torch.nn.utils.clip_grad_norm_(made.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    made.configure(generation={"max_new_tokens": 12})
    return made.eval()


def turned(sources: list[str]) -> PairSplit:
    return PairSplit(sources, [" ".join(s.split()[::-1]) for s in sources], None, "here")


@pytest.fixture(scope="module")
def split() -> PairSplit:
    return turned(ALL[::12])


FAMILIES = [policies.Margin(0.5), policies.AssignedDepth(3)]


def test_keeps_its_promise_with_the_least_work_that_was_tried(model, split):
    found = calibrate(model, split, CalibrateConfig(loose=True, min_quality=0.9), families=FAMILIES)
    assert found.reached
    goal = 0.9 * found.quality_full_depth
    assert len(found.candidates) == 1 + RUNS * len(FAMILIES)
    good = [c for c in found.candidates if c.quality >= goal]
    assert found.chosen["mac_ratio"] == min(c.mac_ratio for c in good) < 1
    assert 0 < len(good) < len(found.candidates)
    again, _ = evaluate_texts(model, split, "validation", from_config(found.policy))
    assert again.quality == found.chosen["quality"] >= goal


def test_confidence_asks_for_more(model, split):
    plain = CalibrateConfig(loose=True, min_quality=0.9)
    loose = calibrate(model, split, plain, families=FAMILIES[:1])
    careful = replace(plain, confidence=0.95)
    sure = calibrate(model, split, careful, families=FAMILIES[:1])
    assert sure.target == {"min_quality": 0.9, "confidence": 0.95}
    assert sure.chosen["quality"] > loose.chosen["quality"]
    assert sure.chosen["mean_exit_layer"] > loose.chosen["mean_exit_layer"]


def test_a_saving_that_is_asked_for(model, split):
    found = calibrate(model, split, CalibrateConfig(speedup=2.5), families=FAMILIES[:1])
    assert found.reached
    assert found.chosen["depth_speedup"] >= 2.5
    fast = [c for c in found.candidates if c.depth_speedup >= 2.5]
    assert found.chosen["quality"] == max(c.quality for c in fast)


def test_a_saving_that_is_out_of_reach_is_told(model, split, caplog):
    found = calibrate(model, split, CalibrateConfig(speedup=50.0), families=FAMILIES[:1])
    assert not found.reached
    assert "No setting saves 50x" in caplog.text


def test_a_sample_is_drawn_and_stays_the_same(model, split):
    config = CalibrateConfig(loose=True, min_quality=0.9, limit=5)
    found = [calibrate(model, split, config, families=FAMILIES[:1]) for _ in range(2)]
    assert found[0] == found[1]
    assert found[0].chosen["n_sentences"] == 5


def test_a_promise_about_texts_not_yet_written(model):
    """Real runs only; what may differ is any token of a text. References are not needed."""
    bare = PairSplit(ALL[:120], None, None, "here")
    config = CalibrateConfig(risk=0.3, grid=6, limit=120)
    found = calibrate(model, bare, config, families=FAMILIES[:1])
    ours, deep = (model.predict(ALL[:120], policy=p) for p in (found.policy, policies.Never()))
    changed = sum(a.token_ids != b.token_ids for a, b in zip(ours, deep, strict=True))
    assert found.reached
    assert 0 < found.promise["texts_changed"] == changed < 0.3 * 120
    assert found.promise["bound"] <= 0.3
    assert not found.promise["labelled"]
    assert found.chosen["depth_speedup"] > 1
    with pytest.warns(DeprecationWarning, match="certify now"):
        former = certify_texts(model, bare, FAMILIES[:1], config.promise, settings=6)
    assert former.promise == found.promise
    several = calibrate(model, turned(ALL[:120]), config, families=FAMILIES)
    assert (several.promise["family_chosen_on"], several.promise["n"]) == (60, 60)
    with pytest.raises(UserError, match="risk_of=text"):
        calibrate(model, bare, replace(config, risk_of="words"), families=FAMILIES)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (policies.Never(), "no threshold"),
        (policies.Oracle(), "threshold|gold"),
        (policies.Window(), "no mean"),
    ],
    ids=repr,
)
def test_families_that_make_no_sense(model, split, policy, message):
    with pytest.raises(UserError, match=message):
        calibrate(model, split, CalibrateConfig(), families=[policy])


@pytest.fixture
def by(model):
    """The model, measured by another metric for one test."""
    before = model.settings

    def measured_by(metric):
        model.configure(metric=metric)
        return model

    yield measured_by
    model.settings = before


@pytest.mark.parametrize("metric", ["ter", "chrf", "rougeL"])
def test_another_metric_can_be_the_quality(by, split, metric):
    config = CalibrateConfig(loose=True, min_quality=0.9)
    found = calibrate(by(metric), split, config, families=FAMILIES[:1])
    chosen = found.chosen
    assert chosen["metric"] == found.measured["metric"] == metric
    assert chosen["lower_is_better"] == (metric == "ter")
    share = chosen["quality"] / chosen["quality_full_depth"]
    assert chosen["relative_quality"] == pytest.approx(1 / share if metric == "ter" else share)
    assert chosen["relative_quality"] >= 0.9
    assert any(c.relative_quality < 0.9 for c in found.candidates)
    assert {"bleu", "bleu_full_depth", "chrf"} <= chosen["figures"].keys()


def test_the_fastest_that_is_asked_for_has_the_fewest_errors(by, split):
    found = calibrate(by("ter"), split, CalibrateConfig(speedup=2.0), families=FAMILIES[:1])
    fast = [c for c in found.candidates if c.depth_speedup >= 2.0]
    assert found.chosen["quality"] == min(c.quality for c in fast)


def test_confidence_needs_a_metric_of_sums(by, split):
    config = CalibrateConfig(loose=True, min_quality=0.9, confidence=0.9)
    found = calibrate(by("ter"), split, config, families=FAMILIES[:1])
    assert found.chosen["relative_quality"] >= 0.9
    with pytest.raises(UserError, match="Chrf gives no parts"):
        calibrate(by("chrf"), split, config, families=FAMILIES[:1])
    with pytest.raises(UserError, match="metric of texts 'accuracy'"):
        calibrate(by("accuracy"), split, config, families=FAMILIES[:1])


def test_a_promise_about_what_is_written(model):
    split, other = turned(ALL[:60]), turned(ALL[60:90])
    for text in ("chrf loss <= 0.3 with 80%", "chrf differs <= 0.4 with 80%"):
        config = CalibrateConfig(guarantee=text, grid=4)
        found = calibrate(model, split, config, families=[policies.MaxProb()], design=other)
        assert found.reached
        assert found.chosen["depth_speedup"] > 1
        assert found.promise["tests"][0][0]["bound"] == "betting"
        assert found.promise["n"] == len(set(ALL[:60]))
    with pytest.raises(UserError, match="these have one: chrf"):
        calibrate(model, split, CalibrateConfig(guarantee="f1 kept >= 0.9"), design=other)


def test_a_share_of_quality_is_promised_of_chrf(model):
    """BLEU itself is no mean over texts; it is kept on the testing ones as well."""
    split, other = turned(ALL[:60]), turned(ALL[60:90])
    config = CalibrateConfig(min_quality=0.6)
    found = calibrate(model, split, config, families=[policies.MaxProb()], design=other)
    assert found.target == {"min_quality": 0.6, "guarantee": "chrf kept >= 0.6 with 90%"}
    assert found.reached
    assert found.chosen["metric"] == "bleu"
    assert found.chosen["relative_quality"] >= 0.6
    assert found.chosen["depth_speedup"] > 1
    assert found.promise["family_chosen_on"] == 30
    assert found.promise["loose"]["relative_quality"] >= 0.6
