"""Policies made of other policies: who is asked, and what becomes of the answers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from tokenexit import policies
from tokenexit.errors import UserError
from tokenexit.policies import from_config


def sure(pattern: list[list[int]]) -> torch.Tensor:
    """Two-class logits: certain where the pattern has 1, uniform where it has 0."""
    return 20.0 * torch.tensor(pattern).float()[..., None] * torch.tensor([1.0, 0.0])


def once(policy: Any, trace: Any, **changes: Any) -> list[int]:
    """The decision at the first layer."""
    halt, _ = policy.step(trace.signals(1, **changes), policy.init(len(trace.item_id)))
    return halt.int().tolist()


@dataclass(frozen=True)
class Spy(policies.Policy):
    """Notes which rows it is shown, and lets out the even item ids at layer 2."""

    seen: list[tuple[int, list[int]]] = field(default_factory=list, compare=False)

    def step(self, signals: Any, state: Any) -> Any:
        self.seen.append((signals.layer, signals.item_id.tolist()))
        return (signals.item_id % 2 == 0) & (signals.layer == 2), state


@pytest.mark.parametrize(
    ("wrap", "asked"),
    [
        (lambda spy: policies.Window(spy, 1), [1, 2, 3, 4]),
        (lambda spy: policies.PCEE(spy, 1), [1, 2, 3, 4]),
        (lambda spy: policies.FromLayer(spy, 2), [2, 3, 4]),
        (lambda spy: policies.EveryKth(spy, 2), [2, 4]),
        (lambda spy: policies.AnyOf((policies.Never(), spy)), [1, 2, 3, 4]),
        (lambda spy: policies.AllOf((policies.AssignedDepth(1), spy)), [1, 2, 3, 4]),
        (lambda spy: policies.PerClass(spy), [1, 2, 3, 4]),
        (lambda spy: policies.PerLayer((policies.Never(), spy)), [2, 3, 4]),
    ],
)
def test_inner_policy_is_shown_the_rows_still_there(wrap, asked, trace_of):
    spy = Spy()
    assert trace_of(torch.zeros(5, 4, 2)).exits(wrap(spy)) == [2, 5, 2, 5]
    rows = [0, 1, 2, 3]
    assert spy.seen == [(layer, rows if layer <= 2 else [1, 3]) for layer in asked]


def test_window_wants_sure_neighbours(trace_of):
    trace = trace_of(sure([[1, 1, 1, 0, 1, 1]]))
    assert once(policies.Window(policies.Entropy(0.5), 1), trace) == [1, 1, 1, 0, 1, 1]
    assert once(policies.Window(policies.Entropy(0.5), 3), trace) == [1, 1, 0, 0, 0, 1]
    assert once(policies.Window(policies.Entropy(0.5), 5), trace) == [1, 0, 0, 0, 0, 0]


def test_window_counts_rows_that_left_as_sure(trace_of):
    trace = trace_of(sure([[1, 1, 0, 1]]))
    signals = trace.signals(1, torch.tensor([0, 1, 3]))
    halt, _ = policies.Window(policies.Entropy(0.5), 3).step(signals, None)
    assert halt.tolist() == [True, True, True]


def test_window_keeps_neighbours_of_a_broken_row(trace_of):
    logits = sure([[1, 1, 1, 1]])
    logits[0, 0] = math.nan
    assert once(policies.Window(policies.Entropy(0.5), 3), trace_of(logits)) == [0, 0, 1, 1]


def test_sentence_leaves_as_one(trace_of):
    trace = trace_of(
        sure([[1, 1, 0, 1, 1]]),
        sequence=torch.tensor([0, 0, 2, 2, 3]),
        position=torch.tensor([0, 1, 0, 1, 0]),
    )
    assert once(policies.PerSentence(policies.Entropy(0.1)), trace) == [1, 1, 0, 0, 1]
    # mean entropies: 0, 0.5, 0
    mean = policies.PerSentence(policies.Entropy(0.51), how="mean")
    assert once(mean, trace) == [1, 1, 1, 1, 1]
    assert once(mean.with_threshold(0.49), trace) == [1, 1, 0, 0, 1]
    # mean probabilities: 1, 0.75, 1
    likely = policies.PerSentence(policies.MaxProb(0.74), how="mean")
    assert once(likely, trace) == [1, 1, 1, 1, 1]
    assert once(likely.with_threshold(0.76), trace) == [1, 1, 0, 0, 1]


@pytest.mark.parametrize("how", ["max", "mean"])
def test_sentence_of_a_broken_row_stays(how, trace_of):
    logits = sure([[1, 1]])
    logits[0, 0] = math.nan
    policy = policies.PerSentence(policies.Entropy(0.9), how=how)
    assert once(policy, trace_of(logits)) == [0, 0]


def test_from_layer_starts_counting_there(trace_of):
    trace = trace_of(sure([[1]] * 6))
    assert trace.exits(policies.FromLayer(policies.Entropy(0.5), 4)) == [4]
    # The first exit that patience sees is the third.
    assert trace.exits(policies.FromLayer(policies.Patience(1), 3)) == [4]


def test_every_kth_asks_at_multiples(trace_of):
    trace = trace_of(sure([[0, 1]] * 3 + [[1, 1]] * 5))
    assert trace.exits(policies.EveryKth(policies.Entropy(0.5), 3)) == [6, 3]
    assert trace.exits(policies.EveryKth(policies.Patience(1), 2)) == [4, 4]


def test_all_and_any(trace_of):
    trace = trace_of(sure([[0, 1]] * 2 + [[1, 1]] * 3))
    inner = (policies.Entropy(0.5), policies.AssignedDepth(2))
    assert trace.exits(policies.AllOf(inner)) == [3, 2]
    assert trace.exits(policies.AnyOf(inner)) == [2, 1]


def test_group_turns_the_first_dial_there_is():
    group = policies.AllOf([policies.Never(), policies.Entropy(0.1), policies.Entropy(0.2)])
    assert group.threshold_value() == 0.1
    expected = (policies.Never(), policies.Entropy(0.5), policies.Entropy(0.2))
    assert group.with_threshold(0.5) == policies.AllOf(expected)
    still = policies.AnyOf((policies.Never(),))
    assert still.threshold_spec() is None
    assert still.threshold_value() is None
    for nothing in (still, policies.PerLayer((policies.Never(),)), policies.Never()):
        with pytest.raises(UserError, match="no threshold"):
            nothing.with_threshold(0.5)


def test_per_layer_asks_its_own_policy_and_then_the_last(trace_of):
    depth = policies.AssignedDepth
    trace = trace_of(sure([[0], [1], [1], [1]]))
    assert trace.exits(policies.PerLayer((policies.Never(), policies.Entropy(0.5)))) == [2]
    assert trace.exits(policies.PerLayer((depth(1), policies.Never()))) == [1]
    assert trace.exits(policies.PerLayer((policies.Never(), depth(3)))) == [3]
    # Patience is asked at layers 2, 3 and 4, and remembers in between.
    trace = trace_of(sure([[1]] * 6))
    assert trace.exits(policies.PerLayer((policies.Never(), policies.Patience(2)))) == [4]


def test_per_layer_thresholds_keep_their_ratios():
    policy = policies.PerLayer.thresholds(policies.Window(policies.Entropy()), [0.1, 0.2, 0.5])
    assert [part.threshold_value() for part in policy.policies] == [0.1, 0.2, 0.5]
    assert [
        part.threshold_value() for part in policy.with_threshold(0.2).policies
    ] == pytest.approx([0.2, 0.4, 0.9])
    assert policy.with_threshold(policy.threshold_value()) == policy


def test_per_class_lets_the_prediction_choose(trace_of):
    # Entropies 0 and 1 do not matter here: the policies are constant.
    out, stay = policies.AssignedDepth(1), policies.Never()
    trace = trace_of(3.0 * torch.eye(4)[None])  # predicts O, B-PER, B-LOC, I-PER
    assert once(policies.PerClass(stay, {"O": out}), trace) == [1, 0, 0, 0]
    assert once(policies.PerClass(out, {"O": stay}), trace) == [0, 1, 1, 1]
    assert once(policies.PerClass(stay, {"B-*": out}), trace) == [0, 1, 1, 0]
    assert once(policies.PerClass(stay, {"B-*": out, "B-LOC": stay}), trace) == [0, 1, 0, 0]
    assert once(policies.PerClass(out, {"*": stay, "B-*": out}), trace) == [0, 1, 1, 0]
    assert once(policies.PerClass(out), trace, classes=()) == [1, 1, 1, 1]


def test_per_class_by_hand(trace_of):
    # probabilities (0.9, 0.1) and (0.1, 0.9): entropy 0.469 both, predictions O and B-PER
    trace = trace_of([[[math.log(9.0), 0.0], [0.0, math.log(9.0)]]])
    assert once(policies.PerClass(policies.Entropy(0.4), {"O": policies.Entropy(0.5)}), trace) == [
        1,
        0,
    ]


def test_per_class_gives_a_broken_row_to_otherwise(trace_of):
    trace = trace_of([[[math.nan, 0.0, 0.0, 0.0]]])
    out, stay = policies.AssignedDepth(1), policies.Never()
    assert once(policies.PerClass(out, {"*": stay}), trace) == [1]
    assert once(policies.PerClass(stay, {"*": out}), trace) == [0]


def test_per_class_scales_together():
    policy = policies.PerClass(
        policies.Entropy(0.1),
        {"O": policies.Entropy(0.3), "B-*": policies.Entropy(0.05), "I-*": policies.Patience(2)},
    )
    turned = policy.with_threshold(0.2)
    assert turned.threshold_value() == 0.2
    assert dict(turned.classes)["O"].threshold == pytest.approx(0.6)
    assert dict(turned.classes)["B-*"].threshold == pytest.approx(0.1)
    assert dict(turned.classes)["I-*"] == policies.Patience(2)
    # beyond the range of the threshold: as far as it goes
    assert dict(policy.with_threshold(0.8).classes)["O"].threshold == pytest.approx(0.9)
    assert dict(policy.with_threshold(1.0).classes)["O"].threshold == pytest.approx(1.0)
    # never for one is never for all
    assert dict(policy.with_threshold(0.0).classes)["O"].threshold == 0.0


def test_per_class_takes_a_mapping_or_pairs_in_any_order():
    pairs = (("B-*", policies.Entropy(0.2)), ("O", policies.Entropy(0.4)))
    one = policies.PerClass(policies.Entropy(0.3), dict(reversed(pairs)))
    assert one == policies.PerClass(policies.Entropy(0.3), pairs)
    assert hash(one) == hash(policies.PerClass(policies.Entropy(0.3), list(pairs)))
    written = {"name": "per_class", "classes": {"O": {"name": "entropy", "threshold": 0.4}}}
    read = from_config(written)
    assert read == policies.PerClass(classes={"O": policies.Entropy(0.4)})


def test_per_class_may_name_a_class_name():
    policy = policies.PerClass(classes={"name": policies.Entropy(0.4)})
    assert from_config(policy.to_config()) == policy
    table = {"name": "per_class", "classes": {"name": {"name": "entropy", "threshold": 0.4}}}
    assert from_config(table) == policy


def test_per_class_names_must_exist(trace_of):
    signals = trace_of(torch.zeros(1, 1, 4)).signals(1)
    policy = policies.PerClass(classes={"B-PRE": policies.Never()})
    with pytest.raises(UserError, match=r"'B-PRE'.*mean 'B-PER'\?.*B-LOC, B-PER, I-PER, O"):
        policy.step(signals, policy.init(1))
    prefix = policies.PerClass(classes={"S-*": policies.Never()})
    with pytest.raises(UserError, match=r"S-\*"):
        prefix.step(signals, prefix.init(1))
    unnamed = trace_of(torch.zeros(1, 1, 4)).signals(1, classes=())
    with pytest.raises(UserError, match="no names"):
        policy.step(unnamed, policy.init(1))
