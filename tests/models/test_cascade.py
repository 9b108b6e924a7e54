"""Cascades: each model gets what the one before it is not sure of, and the cost is told."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from tokenexit import (
    CascadeForSequenceClassification,
    ExitModelForSequenceClassification,
    policies,
)
from tokenexit.backbones import BACKBONES
from tokenexit.calibration import CalibrateConfig, calibrate
from tokenexit.data.texts import TextSplit
from tokenexit.errors import UserError
from tokenexit.evaluation.curve import trace_curve
from tokenexit.evaluation.evaluate import evaluate
from tokenexit.halting.cost import macs, plain_macs
from tokenexit.models.cascades.run import Reading
from tokenexit.models.fresh.encoder import train_tokenizer
from tokenexit.models.fresh.truncate import keep_layers

WORDS = ["red", "green", "blue", "one", "two", "three"]
LABELS = ["yes", "no", "maybe"]
DRAW = np.random.default_rng(0)
TEXTS = [[" ".join(DRAW.choice(WORDS, DRAW.integers(1, 12)))] for _ in range(23)]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer([WORDS], 200, False)


@pytest.fixture(scope="module")
def make(tokenizer: Any) -> Any:
    def build(
        depth: int, seed: int, labels: Any = LABELS, kind: str = "bert", own: Any = None
    ) -> ExitModelForSequenceClassification:
        torch.manual_seed(seed)
        config: Any = BACKBONES.get(kind).example_config(kind)
        config.num_labels, config.vocab_size = len(labels), 200
        network: Any = AutoModelForSequenceClassification.from_config(config)
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(torch.randn_like(weight), alpha=0.2)
        return ExitModelForSequenceClassification.from_transformers(
            keep_layers(network, depth), own or tokenizer, labels
        ).eval()

    return build


@pytest.fixture(scope="module")
def stages(make: Any) -> list[Any]:
    return [make(1, 1), make(2, 2), make(4, 3)]


@pytest.fixture(scope="module")
def cascade(stages: Any) -> CascadeForSequenceClassification:
    return CascadeForSequenceClassification(stages)


@pytest.fixture(scope="module")
def split(stages: Any) -> TextSplit:
    """Labelled by the last model, with which the others disagree here and there."""
    gold = stages[-1].trace(TEXTS, policy="never").prediction
    return TextSplit(TEXTS, [[LABELS[number]] for number in gold], "texts")


def alone(stages: Any, metric: Any) -> list[np.ndarray]:
    """A figure of each text's scores under each model alone."""
    return [metric(stage.trace(TEXTS, policy="never").log_probs) for stage in stages]


def confidence(log_probs: np.ndarray) -> np.ndarray:
    return np.exp(log_probs.max(-1))


def middling(stages: Any) -> policies.MaxProb:
    """Some texts leave after each model."""
    return policies.MaxProb(float(np.median(np.concatenate(alone(stages, confidence)[:-1]))))


def test_each_text_gets_the_first_model_that_is_sure(cascade, stages):
    policy = middling(stages)
    trace = cascade.trace(TEXTS, policy=policy, batch_size=4)
    sure = np.stack([c > policy.threshold for c in alone(stages, confidence)])
    sure[-1] = True
    expected = sure.argmax(0)
    assert set(expected) == {0, 1, 2}
    np.testing.assert_array_equal(trace.exit_layer, expected + 1)
    scores = np.stack(alone(stages, lambda log_probs: log_probs))
    np.testing.assert_allclose(trace.log_probs, scores[expected, np.arange(len(TEXTS))], atol=1e-5)
    assert trace.histogram == np.bincount(expected, minlength=3).tolist()
    assert trace.num_layers == 3


def test_results_do_not_depend_on_batches_and_neighbours(cascade, stages):
    policy = middling(stages)
    whole = cascade.trace(TEXTS, policy=policy, batch_size=7)
    turned = cascade.trace(TEXTS[::-1], policy=policy, batch_size=1)
    np.testing.assert_array_equal(turned.exit_layer[::-1], whole.exit_layer)
    np.testing.assert_allclose(turned.log_probs[::-1], whole.log_probs, atol=1e-5)


def test_texts_that_pass_are_pooled_into_fresh_batches_of_like_length(cascade, stages, monkeypatch):
    from tokenexit.models.cascades import run as cascade_run

    seen: list[list[int]] = []
    pack = cascade_run.pack
    monkeypatch.setattr(
        cascade_run, "pack", lambda s, d: seen.append([p.length for p in s]) or pack(s, d)
    )
    trace = cascade.trace(TEXTS, policy=middling(stages), batch_size=4)
    passed = [int((trace.exit_layer > number).sum()) for number in range(3)]
    sizes = [len(batch) for batch in seen]
    assert sizes == [min(4, n - start) for n in passed for start in range(0, n, 4)]
    first = [length for batch in seen[: -(-len(TEXTS) // 4)] for length in batch]
    assert first == sorted(first, reverse=True)


def test_work_is_that_of_every_model_on_the_texts_that_reached_it(cascade, stages):
    trace = cascade.trace(TEXTS, policy=middling(stages), batch_size=4)
    expected = 0
    for number, stage in enumerate(stages):
        here = [TEXTS[row] for row in np.flatnonzero(trace.exit_layer > number)]
        full = stage.trace(here, policy="never")
        expected += macs(stage.backbone, stage.heads, full.work)
        expected += len(here) * len(LABELS) * (number < 2)
    plain = plain_macs(stages[-1].backbone, trace.lengths.tolist())
    assert cascade.mac_ratio(trace) == pytest.approx(expected / plain, rel=1e-12)


def test_a_model_at_which_nobody_can_leave_is_not_run(cascade, stages, split):
    for number, stage in enumerate(stages, start=1):
        trace = cascade.trace(TEXTS, policy=policies.AssignedDepth(number))
        own = stage.trace(TEXTS, policy="never")
        np.testing.assert_allclose(trace.log_probs, own.log_probs, atol=1e-5)
        assert [work.calls > 0 for work in trace.work] == [
            n == number for n, s in enumerate(stages, 1) for _ in range(s.backbone.num_layers)
        ]
    never = cascade.trace(TEXTS, policy="never")
    assert cascade.mac_ratio(never) == stages[-1].mac_ratio(stages[-1].trace(TEXTS, policy="never"))
    assert evaluate(cascade, split, "test", policies.Never())[0].quality == 1.0


def test_policies_that_remember_do_so_across_models(cascade, stages):
    trace = cascade.trace(TEXTS, policy=policies.Patience(1))
    first, second, _ = alone(stages, lambda log_probs: log_probs.argmax(-1))
    agree = first == second
    assert agree.any()
    assert not agree.all()
    np.testing.assert_array_equal(trace.exit_layer, np.where(agree, 2, 3))


def test_energy_sees_the_size_of_the_scores(cascade, stages):
    with torch.no_grad():
        tokens = stages[0].tokenizer([t[0] for t in TEXTS], padding=True, return_tensors="pt")
        logits = stages[0].network(**tokens).logits
    energies = -logits.logsumexp(-1)
    middle = float(energies.median()) - 1e-4
    trace = cascade.trace(TEXTS, policy=policies.Energy(middle))
    np.testing.assert_array_equal(trace.exit_layer == 1, (energies < middle).numpy())
    table = cascade.exit_table(TEXTS)
    np.testing.assert_array_equal(table.simulate(policies.Energy(middle))[0], trace.exit_layer)


def test_evaluate_the_curve_and_calibration_take_it_for_a_model(cascade, stages, split):
    result, trace = evaluate(cascade, split, "test", middling(stages), batch_size=5)
    assert result.num_layers == 3
    assert result.quality_full_depth == 1.0
    assert result.mean_exit_layer == trace.exit_layer.mean()
    assert result.mac_ratio == cascade.mac_ratio(trace)
    points = trace_curve(cascade, split, "test", policies.MaxProb(), [0.5, 0.9])
    assert [p.kind for p in points] == ["full", "static", "static", "engine", "engine"]
    assert [p.mac_ratio for p in points[1:3]] == sorted(p.mac_ratio for p in points[1:3])
    found = calibrate(
        cascade,
        split,
        CalibrateConfig(loose=True, min_quality=0.9, grid=8),
        families=[policies.MaxProb()],
    )
    assert found.chosen["relative_quality"] >= 0.9
    simulated = [c for c in found.candidates if not c.verified and c.policy["threshold"] == 1.0]
    assert simulated[0].quality_simulated == 1.0


def test_a_choice_never_costs_more_than_the_last_model_alone(make, split):
    """Where the first model is nearly as dear as the last, a few early texts are a loss."""
    first = make(4, 3)
    with torch.no_grad():  # wrong where it is not sure
        first.backbone.final_head().bias[0] += 0.3
    cascade = CascadeForSequenceClassification([first, make(4, 3)])
    sure = np.sort(confidence(first.trace(TEXTS, policy="never").log_probs))
    full = evaluate(cascade, split, "test", policies.Never())[0].mac_ratio
    loss = evaluate(cascade, split, "test", policies.MaxProb(float(sure[-3])))[0]
    assert loss.quality == 1.0
    assert loss.depth_speedup > 1.0
    assert loss.mac_ratio > full
    assert evaluate(cascade, split, "test", policies.MaxProb(0.05))[0].quality < 1.0
    found = calibrate(
        cascade, split, CalibrateConfig(loose=True, min_quality=1.0), families=[policies.MaxProb()]
    )
    assert found.chosen["mac_ratio"] <= full


def test_labels_in_another_order_are_mapped(make, stages):
    turned = make(1, 1, ["maybe", "yes", "no"])
    cascade = CascadeForSequenceClassification([turned, stages[-1]])
    trace = cascade.trace(TEXTS, policy=policies.AssignedDepth(1))
    own = turned.trace(TEXTS, policy="never")
    assert [cascade.labels[n] for n in trace.prediction] == [
        turned.labels[n] for n in own.prediction
    ]
    assert len(set(own.prediction)) > 1
    table = cascade.exit_table(TEXTS)
    np.testing.assert_array_equal(table.logits[0].argmax(-1), trace.prediction)


def test_predict(cascade, stages):
    policy = middling(stages)
    found = cascade.predict([text[0] for text in TEXTS], policy=policy)
    trace = cascade.trace(TEXTS, policy=policy)
    assert [one.exit_layer for one in found] == trace.exit_layer.tolist()
    assert [one.label for one in found] == [LABELS[n] for n in trace.prediction]
    pair = cascade.predict([("red", "one"), ("blue", "two")])
    assert pair[0].text == ["red", "one"]
    assert cascade.predict([]) == []
    with pytest.raises(UserError, match=r"predict\(\[text\]\)"):
        cascade.predict("red")


def test_the_folder_comes_back_and_each_stage_is_an_ordinary_model(stages, tmp_path):
    cascade = CascadeForSequenceClassification(stages, policy=middling(stages))
    cascade.configure(calibration={"target": {"min_quality": 0.9}, "split": "validation"})
    cascade.save_pretrained(tmp_path)
    record = json.loads((tmp_path / "cascade.json").read_text())
    assert record["format_version"] == 1
    assert record["stages"] == ["stage-1", "stage-2", "stage-3"]
    loaded = CascadeForSequenceClassification.from_pretrained(tmp_path)
    texts = [text[0] for text in TEXTS]
    assert loaded.predict(texts) == cascade.predict(texts)
    assert loaded.settings == cascade.settings
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "stage-1")
    assert plain.config.num_hidden_layers == 1
    card = (tmp_path / "README.md").read_text()
    assert "pipeline_tag: text-classification" in card
    assert "to keep at least 90% of the full-depth quality" in card


def test_each_class_says_what_a_folder_holds(stages, tmp_path):
    CascadeForSequenceClassification(stages[:2]).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"cascade.*CascadeForSequenceClassification"):
        ExitModelForSequenceClassification.from_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"text classifier.*ExitModelForSequenceClassification"):
        CascadeForSequenceClassification.from_pretrained(tmp_path / "stage-1")
    stages[0].save_pretrained(tmp_path)  # takes its place
    assert ExitModelForSequenceClassification.from_pretrained(tmp_path).labels == tuple(LABELS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 2}, "reads up to 1"),
        ({"stages": ["stage-1", "stage-9"]}, "'stage-9', which is no folder"),
        ({"stages": ["stage-1", "../stage-2"]}, "which is no folder"),
        ({"stages": None}, "lists no stages"),
    ],
)
def test_damaged_folders(stages, tmp_path, change, message):
    CascadeForSequenceClassification(stages[:2]).save_pretrained(tmp_path / "cascade")
    (tmp_path / "stage-2").mkdir()
    path = tmp_path / "cascade" / "cascade.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=message):
        CascadeForSequenceClassification.from_pretrained(tmp_path / "cascade")


def test_other_labels_are_named(make, stages):
    other = make(1, 1, ["yes", "no", "never"])
    with pytest.raises(UserError, match=r"only stage 1 has 'never'; only the last has 'maybe'"):
        CascadeForSequenceClassification([other, stages[-1]])
    with pytest.raises(UserError, match=r"differently: only the last has 'maybe'\. "):
        CascadeForSequenceClassification([make(1, 1, ["yes", "no"]), stages[-1]])


def test_other_tokenizers_are_told_apart_or_allowed(make, stages):
    lower = make(1, 1, own=train_tokenizer([WORDS], 200, True))
    with pytest.raises(UserError, match=r"(?s)normalizer.*allow_different_tokenizers=True"):
        CascadeForSequenceClassification([lower, stages[-1]])
    fewer = make(1, 1, own=train_tokenizer([WORDS[:3]], 200, False))
    with pytest.raises(UserError, match=r"of 30 and 44 tokens \(only the first has 'gr', only"):
        CascadeForSequenceClassification([fewer, stages[-1]])
    cascade = CascadeForSequenceClassification([fewer, stages[-1]], allow_different_tokenizers=True)
    for number, stage in ((1, fewer), (2, stages[-1])):
        trace = cascade.trace(TEXTS, policy=policies.AssignedDepth(number))
        np.testing.assert_allclose(
            trace.log_probs, stage.trace(TEXTS, policy="never").log_probs, atol=1e-5
        )
    assert trace.lengths.tolist() == stages[-1].trace(TEXTS).lengths.tolist()


def test_a_model_that_reads_otherwise_tokenizes_each_text_once(make, stages, monkeypatch):
    fewer = make(1, 1, own=train_tokenizer([WORDS[:3]], 200, False))
    cascade = CascadeForSequenceClassification([fewer, stages[-1]], allow_different_tokenizers=True)
    read = Reading(cascade, TEXTS)
    seen: list[Any] = []
    encode = fewer.encoder.encode
    monkeypatch.setattr(fewer.encoder, "encode", lambda t: seen.extend(t) or encode(t))
    first = [read.by(1, [2, 0]), read.by(1, [0, 1, 2])]
    assert seen == [TEXTS[2], TEXTS[0], TEXTS[1]]
    assert [p.sentence.input_ids for p in first[1]] == [
        p.sentence.input_ids for p in encode(TEXTS[:3])
    ]
    assert first[0] == [first[1][2], first[1][0]]


def test_what_is_no_cascade(stages, make):
    with pytest.raises(UserError, match="two or more models"):
        CascadeForSequenceClassification(stages[:1])
    with pytest.raises(UserError, match="Stage 2 is a BertForSequenceClassification"):
        CascadeForSequenceClassification([stages[0], stages[1].network])
    with pytest.raises(UserError, match="works for words"):
        CascadeForSequenceClassification(stages, policy=policies.Window())


def test_what_has_no_meaning_for_a_cascade(cascade):
    with pytest.raises(UserError, match="of different models and cannot be compared"):
        cascade.trace(TEXTS, policy=policies.Saturation(0.5))
    with pytest.raises(UserError, match="no meaning for text classifiers"):
        cascade.trace(TEXTS, halted="drop")
    with pytest.raises(UserError, match="batch_size must be"):
        cascade.trace(TEXTS, batch_size=0)
    with pytest.raises(UserError, match="list of one or two strings"):
        cascade.trace(["red"])


def test_models_of_two_families_in_training_mode(make):
    first, last = make(2, 1, kind="distilbert").train(), make(4, 3, kind="roberta").train()
    cascade = CascadeForSequenceClassification([first, last])
    one, two = (cascade.trace(TEXTS, policy=policies.MaxProb(0.6)) for _ in range(2))
    np.testing.assert_array_equal(one.log_probs, two.log_probs)  # no dropout
    assert first.training
    assert last.training
