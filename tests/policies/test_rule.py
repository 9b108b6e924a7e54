"""Rules decide as the policies do that state them, to the last bit."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from tokenexit import policies
from tokenexit.policies import POLICIES, Policy, index_state
from tokenexit.policies.rule import OF_LOGITS, Rule
from tokenexit.policies.rule_decide import Remembered, Seen, begin, decide

LAYERS, CLASSES = 6, 4
ONE_SCORE = [policies.Entropy, policies.MaxProb, policies.Margin, policies.LearnedGate]
STATED: list[Policy] = [
    *(kind(value) for kind in ONE_SCORE for value in (0.0, 0.3, 0.7, 0.9, 1.0)),
    policies.Energy(-1e9),
    policies.Energy(-4.0),
    policies.Energy(1e9),
    policies.Saturation(0.0),
    policies.Saturation(0.9),
    policies.Never(),
    policies.Patience(1),
    policies.Patience(3),
    policies.ValuePatience(0.5, 2),
    policies.PCEE(policies.Entropy(0.6), 2),
    policies.PCEE(policies.Patience(2), 2),
    policies.PCEE(policies.FromLayer(policies.MaxProb(0.5), 3), 2),
    policies.PCEE(policies.AssignedDepth(2), 3),
    policies.Window(policies.Entropy(0.6), 3),
    policies.Window(policies.Margin(0.2), 7),
    policies.Window(policies.Patience(1), 5),
    policies.Window(policies.PCEE(policies.Entropy(0.7), 2), 3),
    policies.Window(policies.Hash(1, 5), 3),
    policies.PerSentence(policies.Entropy(0.8)),
    policies.PerSentence(policies.Patience(1)),
    policies.PerSentence(policies.Entropy(0.6), how="mean"),
    policies.PerSentence(policies.MaxProb(0.6), how="mean"),
    policies.PerClass(policies.Entropy(0.3), {"O": policies.Entropy(0.7)}),
    policies.PerClass(policies.Margin(0.3), {"B-*": policies.Never()}),
    policies.PerClass(policies.Energy(-4.0)),
    policies.Window(policies.PerClass(policies.MaxProb(0.5), {"O": policies.MaxProb(0.3)}), 3),
    policies.PerLayer.thresholds(policies.MaxProb(), [0.9, 0.8, 0.5]),
    policies.PerLayer.thresholds(policies.Window(policies.Entropy(), 3), [0.2, 0.4, 0.9]),
    policies.PerLayer((policies.Never(), policies.Entropy(0.5), policies.Entropy(0.1))),
    policies.PerLayer((policies.Never(), policies.Never(), policies.Patience(1))),
    policies.PerLayer(
        (
            policies.MaxProb(0.9),
            policies.PerClass(policies.MaxProb(0.5), {"O": policies.MaxProb(0.3)}),
        )
    ),
    policies.FromLayer(policies.Patience(1), 3),
    policies.EveryKth(policies.Patience(1), 2),
    policies.EveryKth(policies.PCEE(policies.Margin(0.3), 2), 2),
    policies.FromLayer(policies.EveryKth(policies.Margin(0.3), 2), 3),
    policies.AssignedDepth(3),
    policies.AssignedDepth(4, {5: 1, 7: 2, 9: 9}),
    policies.Hash(2, 5),
    policies.RandomExit(0.3),
    policies.RandomExit(1.0),
    policies.RandomExit(0.0),
    policies.EveryKth(policies.RandomExit(0.4), 2),
    policies.TokenFrequency((8, 16, 24)),
    policies.TokenFrequency((1, 4), 1, (9, 5, 20, 11, 3)),
    policies.TokenBuckets({5: 0, 7: 0, 9: 1, 11: 1, 20: 2}, 1, 3),
    policies.ContextGate(0.1),
    policies.Window(policies.ContextGate(0.3), 3),
    policies.PerSentence(policies.ContextGate(0.4)),
    policies.EveryKth(policies.PCEE(policies.FromLayer(policies.ContextGate(0.3), 2), 2), 2),
]
every_stated = pytest.mark.parametrize("policy", STATED, ids=repr)


def stated(policy: Policy, trace: Any, exits: Any = None) -> Rule:
    layers, _, classes = trace.logits.shape
    rule = policy.as_rule(layers, classes, ("O", "B-PER", "B-LOC", "I-PER")[:classes], exits)
    assert rule is not None
    return rule


def numbers(rule: Rule, signals: Any, memory: list[Any]) -> dict[str, Tensor]:
    """What a kernel would have computed for the rows of one exit; ``memory`` is a gate's."""
    if rule.score == "context":
        number, memory[0] = signals.context(signals, memory[0])
        return {"number": number}
    if rule.score in OF_LOGITS:
        return {"logits": signals.logits}
    if rule.score == "gate":
        return {"number": signals.gate.float()}
    if rule.score == "depth":
        assert rule.depths is not None
        place = signals.position if signals.step is None else signals.step
        return {"number": rule.depths(signals.item_id, place).float()}
    if rule.score == "saturation":
        before = signals.previous_hidden
        if before is None:
            return {"number": torch.full((len(signals),), -1.0)}
        cosine = F.cosine_similarity(signals.hidden.float(), before.float(), dim=-1)
        return {"number": cosine.clamp(-1.0, 1.0)}
    return {}


def ask(rule: Rule, signals: Any, kept: Remembered, memory: list[Any]) -> tuple[Tensor, Remembered]:
    seen = numbers(rule, signals, memory) if rule.asked[signals.layer - 1] else {}
    rows = Seen(sequence=signals.sequence, position=signals.position, **seen)
    return decide(rule, signals.layer, kept, rows)


def agree(policy: Policy, trace: Any, exits: Any = None) -> list[int]:
    """Both decide at every exit, rows leave, and neither ever differs; how many left where."""
    rule = stated(policy, trace, exits)
    total = len(trace.item_id)
    active, state, kept = torch.arange(total), policy.init(total), begin(rule, total)
    left, memory = [], [None]
    for layer in exits or range(1, len(trace.logits) + 1):
        signals = trace.signals(layer, active)
        halt, state = policy.step(signals, state)
        found, kept = ask(rule, trace.signals(layer, active), kept, memory)
        assert torch.equal(halt, found), (layer, halt, found)
        assert halt.dtype == found.dtype
        left.append(int(halt.sum()))
        active, state, kept = active[~halt], index_state(state, ~halt), kept.of(~halt)
        memory[0] = index_state(memory[0], ~halt)
    return left


def broken(logits: Tensor, share: float, seed: int) -> Tensor:
    """With ties, infinities and rows that are no numbers at all."""
    random = torch.Generator().manual_seed(seed)
    logits = logits.clone()
    for value in (math.nan, math.inf, -math.inf, 0.0):
        where = torch.rand(logits.shape, generator=random) < share
        logits[where] = value
    tied = torch.rand(logits.shape[:2], generator=random) < share
    logits[tied] = logits[tied].amax(dim=-1, keepdim=True)
    return logits


@every_stated
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_a_rule_decides_as_its_policy(policy, kind, make_trace):
    for seed in range(3):
        trace = make_trace(seed, lengths=(7, 1, 0, 12, 3))
        trace = replace(trace, logits=trace.logits.to(kind))
        agree(policy, trace)
        agree(policy, replace(trace, logits=broken(trace.logits, 0.05, seed)))
        agree(policy, trace, exits=(1, 2, 4, 5))


def test_somebody_leaves_and_somebody_stays(make_trace):
    """Of most of the policies above, or there was nothing to agree on."""
    lively = 0
    for policy in STATED:
        left = agree(policy, make_trace(5, lengths=(9, 4, 11)))
        lively += sum(count > 0 for count in left) > 1
    assert lively > 0.6 * len(STATED)


@given(
    seed=st.integers(0, 2**20),
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=6),
    threshold=st.floats(0.0, 1.0, width=32) | st.floats(0.0, 1.0),
    times=st.integers(1, 3),
    size=st.sampled_from((1, 3, 5, 99)),
    kind=st.sampled_from((torch.float32, torch.bfloat16)),
    share=st.sampled_from((0.0, 0.02, 0.2)),
    score=st.sampled_from(ONE_SCORE),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_setting(seed, lengths, threshold, times, size, kind, share, score, make_trace):
    if sum(lengths) == 0:
        lengths = [*lengths, 1]
    trace = make_trace(seed, lengths=tuple(lengths))
    trace = replace(trace, logits=broken(trace.logits, share, seed).to(kind))
    inner = policies.PCEE(score(threshold), times)
    agree(policies.Window(inner, size), trace)
    agree(policies.FromLayer(policies.PerSentence(inner), 2), trace)
    agree(policies.Window(policies.Patience(times), size), trace)


@pytest.mark.parametrize("policy", [policies.Entropy, policies.MaxProb, policies.Margin])
def test_thresholds_on_the_very_number(policy, make_trace):
    """Thresholds that are some row's own score, and their neighbours in both precisions."""
    trace = make_trace(1)
    own = policy(0.5).score(trace.signals(3))
    for number in own[:4]:
        for value in (
            float(number),
            float(torch.nextafter(number, torch.tensor(2.0))),
            float(torch.nextafter(number, torch.tensor(-2.0))),
            math.nextafter(float(number), 2.0),
            math.nextafter(float(number), -2.0),
        ):
            agree(policy(min(max(value, 0.0), 1.0)), trace)


def test_a_rule_is_asked_where_its_policy_would_read():
    """At other layers no head need be computed."""
    asked = [
        (policies.Entropy(0.3), None, [1, 1, 1, 1, 1, 1]),
        (policies.FromLayer(policies.Entropy(0.3), 3), None, [0, 0, 1, 1, 1, 1]),
        (policies.EveryKth(policies.Entropy(0.3), 2), (1, 2, 4, 5), [0, 1, 0, 1, 0, 0]),
        (policies.PerLayer((policies.Never(), policies.Entropy(0.3))), None, [0, 1, 1, 1, 1, 1]),
        (policies.Never(), None, [0, 0, 0, 0, 0, 0]),
        (policies.AssignedDepth(4), None, [0, 0, 0, 1, 1, 1]),
    ]
    for policy, exits, layers in asked:
        rule = policy.as_rule(6, 4, (), exits)
        assert rule is not None
        assert list(map(int, rule.asked)) == layers, policy


@pytest.mark.parametrize(
    "policy",
    [
        policies.Divergence(0.1),
        policies.AllOf((policies.Entropy(0.3), policies.Patience(1))),
        policies.TwoStage(),
        policies.Window(policies.Vote()),
        policies.Window(policies.Window(policies.Entropy(0.3), 3), 3),
        policies.PCEE(policies.Window(policies.Entropy(0.3), 3), 2),
        policies.PCEE(policies.EveryKth(policies.Entropy(0.3), 2), 2),
        policies.PerLayer((policies.Entropy(0.3), policies.Margin(0.3))),
        policies.PerLayer((policies.Patience(1), policies.Patience(1))),
        policies.PerLayer((policies.ContextGate(0.1), policies.ContextGate(0.2))),
        policies.AnyOf((policies.ContextGate(0.1), policies.Entropy(0.2))),
        policies.PerClass(policies.Entropy(0.2), {"O": policies.Patience(1)}),
        policies.PerClass(policies.Window(policies.Entropy(0.2)), {"O": policies.Entropy(0.1)}),
    ],
    ids=repr,
)
def test_no_rule_where_none_would_be_right(policy):
    assert policy.as_rule(6, 4, ("O", "B-PER", "B-LOC", "I-PER")) is None


def test_classes_without_names_are_left_to_the_policy():
    policy = policies.PerClass(policies.Entropy(0.3), {"O": policies.Entropy(0.7)})
    assert policy.as_rule(6, 4) is None


def test_whoever_decides_otherwise_states_nothing():
    @dataclass(frozen=True)
    class Half(policies.Entropy):
        def score(self, signals: Any) -> Tensor:
            return super().score(signals) / 2

    @dataclass(frozen=True)
    class Same(policies.Entropy):
        pass

    assert Half(0.3).as_rule(6, 4) is None
    assert policies.Window(Half(0.3)).as_rule(6, 4) is None
    assert Same(0.3).as_rule(6, 4) == policies.Entropy(0.3).as_rule(6, 4)


def test_every_policy_answers():
    examples = [example for _, kind in POLICIES.items() for example in kind.examples()]
    for example in examples:
        rule = example.as_rule(6, 4, ("O", "B-PER", "B-LOC", "I-PER"))
        assert rule is None or len(rule.asked) == len(rule.thresholds) == 6
