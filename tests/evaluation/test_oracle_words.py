"""Where an oracle would let words leave, and who pays, by real runs."""

from __future__ import annotations

import numpy as np
import pytest

from tokenexit.errors import UserError
from tokenexit.evaluation import evaluate, exits, trace_split
from tokenexit.evaluation.oracle_words import oracle_words
from tokenexit.policies.assigned_depth import AssignedDepth
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.never import Never


@pytest.fixture(scope="module")
def oracle(tagger, splits):
    return oracle_words(tagger, splits["test"])


@pytest.fixture(scope="module")
def named(tagger, splits):
    """What all words would be called if all stopped at one layer: no state differs below it."""
    runs = [trace_split(tagger, splits["test"], AssignedDepth(layer)) for layer in (1, 2)]
    runs.append(trace_split(tagger, splits["test"], Never()))
    return np.stack([run.log_probs.argmax(axis=-1) for run in runs])


def test_is_the_first_exit_from_which_on_all_agree(oracle, named):
    expected = []
    for one, two, three in named.T.tolist():
        expected.append(1 if one == two == three else 2 if two == three else 3)
    assert oracle.layers.tolist() == expected
    assert oracle.top.tolist() == named[-1].tolist()
    assert set(expected) == {1, 2, 3}


def test_an_evaluation_says_it_when_asked(tagger, splits, oracle):
    result, trace = evaluate(tagger, splits["test"], "test", Entropy(0.2), oracle=True)
    assert result.oracle is not None
    early = oracle.layers.mean()
    assert result.oracle.exit_layer == pytest.approx(early)
    assert result.oracle.reached == pytest.approx((3 - result.mean_exit_layer) / (3 - early))
    lost = np.maximum(trace.exit_layer - oracle.layers, 0).sum()
    assert result.oracle.all.layers_lost == lost > 0
    assert sum(one.rows for one in result.oracle.by_class) == len(trace)
    known, _ = evaluate(tagger, splits["test"], "test", Entropy(0.2), oracle=oracle)
    assert known.oracle == result.oracle


def test_nobody_asked(tagger, splits, monkeypatch):
    """And no further pass is made."""
    monkeypatch.setattr(type(tagger), "exit_table", None)
    assert evaluate(tagger, splits["test"], "test", Entropy(0.2))[0].oracle is None


def test_full_depth_loses_all_and_changes_nothing(tagger, splits, oracle):
    result, _ = evaluate(tagger, splits["test"], "test", Never(), oracle=oracle)
    assert result.oracle is not None
    whole = result.oracle.all
    assert (whole.false_alarms, whole.disturbed, result.oracle.reached) == (0, 0, 0)
    assert whole.layers_lost == (3 - oracle.layers).sum()


def test_the_first_layer_has_every_false_alarm(tagger, splits, oracle, named):
    result, _ = evaluate(tagger, splits["test"], "test", AssignedDepth(1), oracle=oracle)
    assert result.oracle is not None
    whole = result.oracle.all
    assert whole.false_alarms == (named[0] != named[-1]).sum() > 0
    assert (whole.late, whole.disturbed) == (0, 0)
    assert result.oracle.reached > 1


def test_two_processes_find_the_same(tagger, splits, oracle, monkeypatch):
    shares: list = []
    monkeypatch.setattr(exits, "gather", lambda items: shares.extend(items) or shares)
    for rank in range(2):
        monkeypatch.setattr(exits, "my_share", lambda n, r=rank: list(range(r, n, 2)))
        found = oracle_words(tagger, splits["test"])
    assert (found.layers == oracle.layers).all()
    assert (found.top == oracle.top).all()


def test_numbers_have_no_oracle(tagger, splits, monkeypatch):
    monkeypatch.setattr(tagger, "settings", _Regression())
    with pytest.raises(UserError, match="no oracle of it"):
        oracle_words(tagger, splits["test"])


class _Regression:
    task = "regression"
