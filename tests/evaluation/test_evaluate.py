"""Real runs of the engine on a split, and what is said of them."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from seqeval.metrics import accuracy_score, f1_score, precision_score

from tokenexit.data.tagged import TaggedSplit
from tokenexit.errors import UserError
from tokenexit.evaluation import bench, evaluate, exits, trace_split
from tokenexit.evaluation.exits import exit_quality
from tokenexit.halting.cost import macs, plain_macs
from tokenexit.policies.assigned_depth import AssignedDepth
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.never import Never
from tokenexit.policies.oracle import Oracle
from tokenexit.policies.window import Window
from tokenexit.tasks.scoring.gold import FIRST_UNSEEN, class_numbers
from tokenexit.tasks.scoring.spans import fast_span_f1

CONTRACT = """task split n_sentences n_rows metric quality quality_full_depth mean_exit_layer
num_layers exit_histogram mac_ratio""".split()
MIXED = Entropy(0.2)


@pytest.fixture(scope="module")
def test_split(splits):
    return splits["test"]


@pytest.fixture(scope="module")
def mixed(tagger, test_split):
    """A policy that lets words out at every layer."""
    result, trace = evaluate(tagger, test_split, "test", MIXED)
    assert all(result.exit_histogram), "the trained model is no good for these tests"
    return result, trace


def with_tag(split, tag):
    """The split with the first tag of its first two sentences replaced."""
    changed = [[tag, *tags[1:]] if row < 2 else tags for row, tags in enumerate(split.tags)]
    return replace(split, tags=changed)


def test_a_result_has_the_keys_of_the_contract(mixed, test_split):
    data = mixed[0].to_json()
    assert not set(CONTRACT) - data.keys()
    assert json.loads(json.dumps(data)) == data
    assert (data["task"], data["split"], data["metric"]) == ("ner", "test", "f1")
    assert data["n_sentences"] == len(test_split) == 47
    assert data["n_rows"] == test_split.num_words
    assert data["policy"] == {"name": "entropy", "threshold": 0.2}


def test_which_runtime_ran_is_said(tagger, test_split):
    part = test_split.head(4)
    usual = "kernels" if tagger.compiled(tagger.inference_backbone) is not None else "eager"
    assert evaluate(tagger, part, "test", Entropy(0.2))[0].to_json()["runtime"] == usual
    try:
        tagger.use(runtime="static")
        assert evaluate(tagger, part, "test", Entropy(0.2))[0].to_json()["runtime"] == "static"
        found = bench(tagger, part.tokens, Entropy(0.2), batch_size=2, repeats=1)
        assert found.to_json()["runtime"] == "static"
    finally:
        tagger.use(runtime="auto")


def test_its_figures_agree_with_each_other(mixed, tagger):
    result, trace = mixed
    layers = np.arange(1, result.num_layers + 1)
    assert len(result.exit_histogram) == result.num_layers == 3
    assert sum(result.exit_histogram) == result.n_rows == len(trace)
    mean = float(np.dot(layers, result.exit_histogram)) / result.n_rows
    assert result.mean_exit_layer == pytest.approx(mean)
    assert result.depth_speedup == pytest.approx(3 / mean)
    assert result.relative_quality == pytest.approx(result.quality / result.quality_full_depth)
    assert result.figures["f1"] == result.quality
    work = macs(tagger.backbone, tagger.heads, trace.work)
    plain = plain_macs(tagger.backbone, trace.lengths.tolist(), batches=len(trace.lengths))
    assert result.mac_ratio == work / plain


def test_the_exits_of_the_trained_model_differ(tagger, test_split):
    """Or the other tests would prove nothing."""
    full, _ = evaluate(tagger, test_split, "test", Never())
    first, _ = evaluate(tagger, test_split, "test", AssignedDepth(1))
    assert full.quality > first.quality > 0.1


def test_never_is_the_plain_model(tagger, test_split):
    result, trace = evaluate(tagger, test_split, "test", Never())
    assert result.relative_quality == result.depth_speedup == 1
    assert result.exit_histogram == [0, 0, result.n_rows]
    assert result.mean_exit_layer == 3
    assert 0.9 < result.mac_ratio <= 1  # the last layer serves the words' first rows only
    assert sum(done.head for done in trace.work) == result.n_rows  # no exit was asked


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_an_assigned_depth_is_that_exit_of_the_full_pass(layer, tagger, test_split):
    table = exit_quality(tagger, test_split, 32)
    result, _ = evaluate(tagger, test_split, "test", AssignedDepth(layer))
    assert result.quality == pytest.approx(table["by_exit"][layer - 1], abs=1e-12)
    assert result.exit_histogram[layer - 1] == result.n_rows
    assert table["quality"] == table["by_exit"][-1]


def test_looser_is_faster(tagger, test_split):
    loose = [
        evaluate(tagger, test_split, "test", Entropy(value), full_depth=0.5)[0]
        for value in (0.0, 0.05, 0.3, 0.8, 1.0)
    ]
    assert sorted(r.mac_ratio for r in loose) == [r.mac_ratio for r in loose][::-1]
    assert sorted(r.mean_exit_layer for r in loose) == [r.mean_exit_layer for r in loose][::-1]
    assert (loose[0].mean_exit_layer, loose[-1].mean_exit_layer) == (3, 1)


@pytest.mark.parametrize("batch_size", [1, 7])
def test_batches_do_not_matter(batch_size, mixed, tagger, test_split):
    result, trace = evaluate(tagger, test_split, "test", MIXED, batch_size=batch_size)
    assert result == mixed[0]
    assert np.array_equal(trace.exit_layer, mixed[1].exit_layer)


def test_the_models_own_policy_is_the_default(tagger, test_split):
    result, _ = evaluate(tagger, test_split, "test")
    assert result.policy == tagger.policy.to_config()
    assert result.policy["name"] == "entropy"


def test_full_depth_may_be_known_already(mixed, tagger, test_split):
    result, _ = evaluate(tagger, test_split, "test", MIXED, full_depth=0.25)
    assert result.quality_full_depth == 0.25
    assert result.relative_quality == result.quality / 0.25
    assert result.quality == mixed[0].quality


def test_nothing_to_lose_is_nothing_lost(tagger, test_split):
    result, _ = evaluate(tagger, test_split.head(3), "test", MIXED, full_depth=0.0)
    assert result.relative_quality == 1


def test_the_model_is_left_as_it_was(tagger, test_split):
    settings = tagger.settings
    tagger.train()
    try:
        again, _ = evaluate(tagger, test_split.head(4), "test", MIXED)
        assert tagger.training
    finally:
        tagger.eval()
    assert again == evaluate(tagger, test_split.head(4), "test", MIXED)[0]
    assert tagger.settings == settings


def test_a_policy_that_looks_at_gold_sees_it(tagger, test_split):
    _, trace = evaluate(tagger, test_split, "test", Oracle())
    early = trace.exit_layer < 3
    assert early.any()
    assert np.array_equal(trace.prediction[early], trace.gold[early])


def test_other_rules_and_decoders(mixed, tagger, test_split):
    dropped, _ = evaluate(tagger, test_split, "test", MIXED, halted="drop")
    assert dropped.mac_ratio < mixed[0].mac_ratio
    legal, trace = evaluate(tagger, test_split, "test", MIXED, decode="legal")
    assert legal.exit_histogram == mixed[0].exit_histogram
    assert legal.figures["f1_strict"] == legal.quality  # no I- without its B-
    assert np.array_equal(trace.prediction, mixed[1].prediction)  # it is the default
    free, trace = evaluate(tagger, test_split, "test", MIXED, decode="argmax")
    assert free.exit_histogram == legal.exit_histogram
    assert (trace.prediction != mixed[1].prediction).any()
    with pytest.raises(UserError, match="Unknown way of decoding 'legl'"):
        evaluate(tagger, test_split, "test", MIXED, decode="legl")


class TestUnknownLabels:
    def test_are_refused_by_name(self, tagger, test_split):
        with pytest.raises(UserError, match=r"1 label.*'B-FOOD' \(2x\).*row 0.*The model knows"):
            evaluate(tagger, with_tag(test_split, "B-FOOD"), "test", Never())

    def test_are_kept_as_wrong(self, tagger, test_split, caplog):
        changed = with_tag(test_split, "B-FOOD")
        wanted, _ = evaluate(tagger, test_split, "test", Never())
        with caplog.at_level(logging.WARNING, logger="tokenexit"):
            result, trace = evaluate(tagger, changed, "test", Never(), on_unknown="keep")
        assert [r for r in caplog.records if "count as wrong" in r.getMessage()]
        assert (trace.gold <= FIRST_UNSEEN).sum() == 2
        assert result.n_rows == wanted.n_rows
        assert result.figures["recall"] < wanted.figures["recall"]

    def test_entities_are_those_of_the_real_names(self, tagger, test_split):
        """Several unseen types, side by side and continued, through every road to a figure."""
        given = iter(["B-FOOD", "I-FOOD", "B-FOOD", "B-unknown", "I-geo-loc", "O"] * 99)
        tags = [
            [next(given) if n % 3 else tag for n, tag in enumerate(row)] for row in test_split.tags
        ]
        changed = replace(test_split, tags=tags)
        result, trace = evaluate(tagger, changed, "test", MIXED, on_unknown="keep")
        cuts = np.cumsum([len(row) for row in tags])[:-1]
        guess = [[tagger.labels[c] for c in part] for part in np.split(trace.prediction, cuts)]
        assert result.quality == f1_score(tags, guess)
        assert result.figures["precision"] == precision_score(tags, guess)
        assert result.figures["accuracy"] == accuracy_score(tags, guess)
        assert fast_span_f1(
            trace.prediction, trace.gold, trace.text, tagger.labels
        ) == pytest.approx(result.quality)
        assert exit_quality(tagger, changed, 3)["quality"] == result.quality_full_depth

    def test_may_be_kept_without_a_word(self, tagger, test_split, caplog):
        changed = with_tag(test_split, "B-FOOD")
        loud, _ = evaluate(tagger, changed, "test", Never(), on_unknown="keep")
        caplog.clear()
        assert evaluate(tagger, changed, "test", Never(), on_unknown=None)[0] == loud
        assert not caplog.records

    def test_the_rule_has_two_names(self, tagger, test_split):
        with pytest.raises(UserError, match="error or keep, not 'ignore'"):
            evaluate(tagger, test_split, "test", Never(), on_unknown="ignore")


def test_text_without_tags_cannot_be_scored(tagger, test_split):
    with pytest.raises(UserError, match="no tags"):
        evaluate(tagger, replace(test_split, tags=None), "test")


@pytest.mark.parametrize("tokens", [[], [[], []]], ids=["no sentence", "no word"])
@pytest.mark.parametrize("policy", [Never(), MIXED])
def test_an_empty_split(tokens, policy, tagger):
    split = TaggedSplit(tokens, [[] for _ in tokens], "nothing")
    result, trace = evaluate(tagger, split, "test", policy)
    assert (result.n_sentences, result.n_rows, len(trace)) == (len(tokens), 0, 0)
    assert result.exit_histogram == [0, 0, 0]
    assert (result.quality, result.relative_quality) == (0, 1)
    assert (result.depth_speedup, result.mac_ratio) == (1, 1)
    json.dumps(result.to_json(), allow_nan=False)


def test_empty_sentences_among_others(mixed, tagger, test_split):
    holes = TaggedSplit([[], *test_split.tokens, []], [[], *test_split.tags, []], "holes")
    result, trace = evaluate(tagger, holes, "test", MIXED)
    assert replace(result, n_sentences=47) == mixed[0]
    assert np.array_equal(trace.text - 1, mixed[1].text)


def test_texts_longer_than_the_model_keep_every_word(tagger, test_split):
    words = [word for text in test_split.tokens for word in text]
    tags = [tag for text in test_split.tags for tag in text]
    result, trace = evaluate(tagger, TaggedSplit([words], [tags], "long"), "test", MIXED)
    assert len(trace.lengths) > 5  # windows
    assert max(trace.lengths) <= 64
    assert (result.n_sentences, result.n_rows) == (1, len(words))
    assert np.array_equal(trace.position, np.arange(len(words)))
    assert sum(result.exit_histogram) == len(words)


def test_a_trace_without_gold(tagger, test_split):
    trace = trace_split(tagger, replace(test_split, tags=None), MIXED)
    assert (trace.gold == -100).all()
    known = trace_split(tagger, test_split, MIXED)
    assert np.array_equal(trace.prediction, known.prediction)
    assert np.array_equal(known.gold, np.concatenate(class_numbers(test_split, tagger.labels)))


def test_all_processes_together_see_every_exit(tagger, test_split, monkeypatch):
    """Two shares of one split, the second without a word."""
    wanted = exit_quality(tagger, test_split, 16)
    parts = []

    def share(numbers):
        def gather(items):
            parts.append(items)
            return [item for part in parts for item in part]

        monkeypatch.setattr(exits, "my_share", lambda count: numbers)
        monkeypatch.setattr(exits, "gather", gather)
        return exit_quality(tagger, test_split, 16)

    odd, even = list(range(1, 47, 2)), list(range(0, 47, 2))
    share(odd)
    assert share(even) == wanted
    assert share([]) == wanted


def test_exits_of_nothing_cannot_be_graded(tagger):
    with pytest.raises(UserError, match="nothing holds no word"):
        exit_quality(tagger, TaggedSplit([[]], [[]], "nothing"), 8)


def test_the_window_is_measured_too(mixed, tagger, test_split):
    result, _ = evaluate(tagger, test_split, "test", Window(MIXED, 3))
    assert result.mean_exit_layer > mixed[0].mean_exit_layer
    assert not torch.is_inference_mode_enabled()
