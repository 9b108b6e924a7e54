"""How sure a share of quality is, held against resampling in plain words."""

from __future__ import annotations

import numpy as np
import pytest

from tokenexit.evaluation import evaluate
from tokenexit.evaluation.bootstrap import RESAMPLES, paired, relative_quality_bound, text_parts
from tokenexit.policies.assigned_depth import AssignedDepth
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.never import Never
from tokenexit.tasks import labelled_task


@pytest.fixture(scope="module")
def traces(tagger, splits):
    policies = {"full": Never(), "first": AssignedDepth(1), "mixed": Entropy(0.2)}
    split = splits["test"].head(12)
    return {name: evaluate(tagger, split, "test", p)[1] for name, p in policies.items()}


def resampled(trace, draw, labels, task):
    """Quality of the texts drawn, each as often as it was drawn."""
    rows = [np.flatnonzero(trace.text == number) for number in draw]
    index = np.concatenate(rows)
    text = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
    drawn = trace.prediction[index], trace.gold[index]
    return labelled_task(task).graded(*drawn, text, labels)["quality"]


@pytest.mark.parametrize("task", ["ner", "pos"])
def test_the_bound_is_a_quantile_of_resamples(task, traces, tagger, monkeypatch):
    monkeypatch.setattr("tokenexit.evaluation.bootstrap.RESAMPLES", 40)
    counts = np.random.default_rng(0).multinomial(12, np.full(12, 1 / 12), 40)
    ratios = []
    for count in counts:
        draw = np.repeat(np.arange(12), count)
        ours, deep = (resampled(traces[n], draw, tagger.labels, task) for n in ("first", "full"))
        ratios.append(ours / deep)
    bound = relative_quality_bound(traces["first"], traces["full"], tagger.labels, task, 0.9)
    assert bound == pytest.approx(np.quantile(ratios, 0.1))


def test_surer_means_lower(traces, tagger):
    first, full, labels = traces["first"], traces["full"], tagger.labels
    bounds = [relative_quality_bound(first, full, labels, "ner", c) for c in (0.5, 0.8, 0.95, 0.99)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] > bounds[-1]
    assert RESAMPLES >= 1000


def test_full_depth_keeps_everything(traces, tagger):
    full = traces["full"]
    assert relative_quality_bound(full, full, tagger.labels, "ner", 0.99) == 1


def test_no_text_keeps_nothing(tagger, splits):
    _, none = evaluate(tagger, splits["test"].head(0), "test", Never())
    assert relative_quality_bound(none, none, tagger.labels, "ner", 0.9) == 0


@pytest.mark.parametrize("task", ["ner", "pos"])
def test_a_difference_and_its_interval_are_those_of_resamples(task, traces, tagger, monkeypatch):
    monkeypatch.setattr("tokenexit.evaluation.bootstrap.RESAMPLES", 40)
    both = [traces[name] for name in ("first", "full")]
    found = paired(*(text_parts(one, tagger.labels, task, 12) for one in both))
    counts = np.random.default_rng(0).multinomial(12, np.full(12, 1 / 12), 40)
    pairs = np.array([
        [resampled(one, np.repeat(np.arange(12), count), tagger.labels, task) for one in both]
        for count in counts
    ])  # fmt: skip
    ours, deep = (resampled(one, range(12), tagger.labels, task) for one in both)
    assert (found.difference, found.kept) == pytest.approx((ours - deep, ours / deep))
    expected = np.quantile(pairs[:, 0] - pairs[:, 1], [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx(tuple(expected))
    shares = pairs[:, 0] / pairs[:, 1]
    assert (found.kept_low, found.kept_high) == pytest.approx(
        tuple(np.quantile(shares, [0.025, 0.975]))
    )


def test_the_interval_of_evaluate_holds_the_difference_it_tells(tagger, splits):
    figures = evaluate(tagger, splits["test"], "test", AssignedDepth(1))[0].figures
    low, gap, high = (figures[f"f1_difference{end}"] for end in ("_low", "", "_high"))
    assert low < gap < high
    assert figures["kept_low"] <= figures["kept_high"]
    same = evaluate(tagger, splits["test"], "test", Never())[0].figures
    assert same["f1_difference"] == same["f1_difference_low"] == same["f1_difference_high"] == 0


def test_runs_on_other_texts_are_not_paired():
    with pytest.raises(ValueError, match="cannot be paired"):
        paired(np.ones((2, 2)), np.ones((3, 2)))


def test_where_the_other_run_is_worth_nothing_there_is_no_share():
    found = paired(np.array([[1.0, 2.0]]), np.array([[0.0, 2.0]]))
    assert (found.difference, found.low, found.high) == (0.5, 0.5, 0.5)
    assert np.isnan(found.kept_low)
