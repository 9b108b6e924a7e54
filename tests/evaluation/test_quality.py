"""Another figure as the quality, one's own included; and the numbers of a regression."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score

from tokenexit.calibration import CalibrateConfig, calibrate
from tokenexit.errors import UserError
from tokenexit.evaluation.evaluate import evaluate
from tokenexit.files import to_json
from tokenexit.metrics import METRICS, Metric
from tokenexit.policies import Entropy, Never, from_config
from tokenexit.results import kept, lower_is_better
from tokenexit.tasks import labelled_task
from tokenexit.tasks.scoring.correlation import correlation


@METRICS.register("test_kappa")
class Kappa(Metric):
    """Agreement beyond chance of the labels of all words."""

    of = "labels"

    def score(self, predictions, references):
        flat = [[label for text in texts for label in text] for texts in (predictions, references)]
        return max(cohen_kappa_score(*flat), 0.0)


@METRICS.register("test_errors")
class Errors(Metric):
    """Share of words that are wrong."""

    of, lower_is_better = "labels", True

    def score(self, predictions, references):
        pairs = [
            a != b
            for text, gold in zip(predictions, references, strict=True)
            for a, b in zip(text, gold, strict=True)
        ]
        return sum(pairs) / len(pairs)


@METRICS.register("test_seen")
class Seen(Metric):
    """Keeps what it was given."""

    of = "labels"
    given: tuple = ()

    def score(self, predictions, references):
        Seen.given = (predictions, references)
        return 0.5


@pytest.mark.parametrize(
    ("quality", "full", "lower", "share"),
    [
        (0.5, 1.0, False, 0.5), (0.0, 0.0, False, 1.0), (0.2, 0.0, False, 1.0),
        (0.5, 0.4, True, 0.8), (0.4, 0.5, True, 1.25), (0.0, 0.0, True, 1.0),
        (0.1, 0.0, True, 0.0), (0.0, 0.3, True, 1.0),
    ],
)  # fmt: skip
def test_what_is_kept(quality, full, lower, share):
    assert kept(quality, full, lower) == pytest.approx(share)


@pytest.fixture(scope="module")
def validation(splits):
    return splits["validation"]


@pytest.fixture
def by(tagger):
    """The tagger, measured by another metric for one test."""
    before = tagger.settings

    def measured_by(metric):
        tagger.configure(metric=metric)
        return tagger

    yield measured_by
    tagger.settings = before


def test_figures_of_the_task_can_be_the_quality(by, validation):
    usual, _ = evaluate(by(None), validation, "validation", Never())
    for metric in ("accuracy", "macro_f1", "f1_strict", "precision", "recall"):
        found, _ = evaluate(by(metric), validation, "validation", Never())
        assert (found.metric, found.quality) == (metric, usual.figures[metric])
        assert found.figures.items() <= usual.figures.items()  # which has intervals, too


def test_a_metric_of_ones_own_is_the_quality(by, validation):
    policy = Entropy(0.3)
    usual, trace = evaluate(by(None), validation, "validation", policy)
    found, _ = evaluate(by("test_kappa"), validation, "validation", policy)
    assert found.quality == pytest.approx(cohen_kappa_score(trace.prediction, trace.gold))
    assert found.figures["test_kappa"] == found.quality
    assert found.figures["accuracy"] == usual.figures["accuracy"]
    wrong, _ = evaluate(by("test_errors"), validation, "validation", policy)
    assert wrong.lower_is_better
    assert wrong.quality == pytest.approx(1 - usual.figures["accuracy"])
    assert wrong.relative_quality == pytest.approx(wrong.quality_full_depth / wrong.quality)


@pytest.mark.parametrize("metric", ["accuracy", "test_kappa", "test_errors"])
def test_calibration_keeps_a_share_of_it(by, validation, metric):
    model = by(metric)
    config = CalibrateConfig(loose=True, min_quality=0.9, grid=8, verify=1)
    found = calibrate(model, validation, config, families=[Entropy()])
    again, _ = evaluate(model, validation, "validation", from_config(found.policy))
    assert found.chosen["metric"] == metric
    assert again.relative_quality >= 0.9
    assert found.measured["lower_is_better"] == (metric == "test_errors")
    tried = [c for c in found.candidates if c.verified and c.relative_quality < 0.9]
    assert all(c.depth_speedup >= found.chosen["depth_speedup"] for c in tried)


def test_what_a_metric_of_labels_is_given():
    gold = np.array([0, 1, -100, -101, 2])
    prediction, text = np.array([0, 1, 1, 2, 2]), np.array([0, 0, 0, 1, 1])
    labels = ("O", "B-X", "I-X")
    figures = labelled_task("ner").graded(prediction, gold, text, labels, "test_seen")
    assert figures["quality"] == 0.5
    assert Seen.given == ([["O", "B-X"], ["I-X", "I-X"]], [["O", "B-X"], ["<unknown>", "I-X"]])
    labelled_task("classification").graded(prediction, gold, np.arange(5), labels, "test_seen")
    assert Seen.given[0] == ["O", "B-X", "I-X", "I-X"]
    labelled_task("regression").graded(
        np.array([1.0, 2.0]), np.array([np.nan, 3.0]), text[:2], (), "test_seen"
    )
    assert Seen.given == ([2.0], [3.0])


@pytest.mark.parametrize(
    ("metric", "task"), [("bleu", "ner"), ("f1", "pos"), ("nonsense", "regression")]
)
def test_a_metric_of_something_else_is_refused(metric, task, by, validation):
    with pytest.raises(UserError, match=f"Unknown metric '{metric}' for {task}"):
        labelled_task(task).check_metric(metric)
    with pytest.raises(UserError, match="Unknown metric 'bleu' for ner"):
        evaluate(by("bleu"), validation, "validation", Never())


def test_confidence_is_about_the_usual_metric(by, validation):
    config = CalibrateConfig(loose=True, min_quality=0.9, confidence=0.9)
    with pytest.raises(UserError, match="resamples f1, the usual metric of ner"):
        calibrate(by("accuracy"), validation, config, families=[Entropy()])


def test_errors_are_known_as_such():
    assert lower_is_better("mse")
    assert lower_is_better("ter")
    assert not lower_is_better("bleu")
    assert not lower_is_better("never heard of")


NUMBERS = some.lists(
    some.tuples(some.integers(-3, 3), some.floats(-2, 2, width=16)), min_size=2, max_size=9
)


@settings(deadline=None)
@given(NUMBERS)
def test_correlations_are_scipys_and_0_where_there_is_none(pairs):
    told, true = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    found = correlation(told, true)
    json.loads(to_json(found))
    assert all(math.isfinite(value) for value in found.values())
    if len(set(told)) > 1 and np.ptp(true) > 1e-3:
        assert found["pearson"] == pytest.approx(pearsonr(told, true)[0], abs=1e-9)
        assert found["spearman"] == pytest.approx(spearmanr(told, true)[0], abs=1e-9)
    elif len(set(told)) == 1 or len(set(true)) == 1:
        assert (found["pearson"], found["spearman"]) == (0, 0)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e20, -7.3])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 1000])
def test_constant_numbers_have_no_correlation(value, count):
    constant, other = np.full(count, value), np.arange(count, dtype=float)
    for sides in ((constant, other), (other, constant), (constant, constant)):
        assert correlation(*sides)["correlation"] == 0
    assert correlation(np.array([]), np.array([])) == {
        "correlation": 0, "pearson": 0, "spearman": 0, "mse": 0,
    }  # fmt: skip


@settings(deadline=None, max_examples=40)
@given(some.lists(some.tuples(some.integers(0, 3), some.integers(-1, 3)), max_size=12))
def test_classes_are_scored_as_by_scikit_learn(pairs):
    told, true = ([pair[side] for pair in pairs] for side in (0, 1))
    gold, text = np.array(true, dtype=int), np.arange(len(true))
    found = labelled_task("classification").graded(
        np.array(told, dtype=int), gold, text, tuple("abcd")
    )
    if not pairs:
        assert found["accuracy"] == found["macro_f1"] == 0
        return
    assert found["accuracy"] == pytest.approx(accuracy_score(true, told))
    macro = f1_score(true, told, average="macro", zero_division=0.0)
    assert found["macro_f1"] == pytest.approx(macro)


def test_a_regression_that_tells_no_numbers_is_named():
    with pytest.raises(UserError, match="1 of 3 numbers that the model tells"):
        correlation(np.array([1.0, np.nan, 2.0]), np.array([1.0, 2.0, 3.0]))


def test_results_are_valid_json_and_read_back(by, validation):
    result, _ = evaluate(by("test_errors"), validation, "validation", Entropy(0.2))
    assert json.loads(to_json(result.to_json()))["lower_is_better"] is True
    assert replace(result).to_json() == result.to_json()
