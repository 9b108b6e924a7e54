"""Rules of decoding: thresholds that change with the steps, and lists of a few words."""

from __future__ import annotations

import pytest
import torch

from tokenexit import policies
from tokenexit.errors import UserError
from tokenexit.policies import index_state
from tokenexit.policies.rule import Rule
from tokenexit.policies.rule_decide import Seen, begin, decide

STEPS = 8
DECAYING = [
    policies.Decay(policies.Margin(0.6)),
    policies.Decay(policies.Margin(1.0)),
    policies.Decay(policies.Margin(0.0), 0.0),
    policies.Decay(policies.Entropy(0.3), 1.0),
    policies.Decay(policies.Energy(-4.0)),
    policies.FromLayer(policies.Decay(policies.MaxProb(0.5)), 2),
    policies.PCEE(policies.Decay(policies.MaxProb(0.5)), 2),
]
LISTED = [
    policies.Shortlist(policies.Margin(0.3), 2),
    policies.Shortlist(policies.Entropy(0.5), 3),
    policies.Shortlist(policies.Patience(1), 100),
    policies.EveryKth(policies.Shortlist(policies.PCEE(policies.MaxProb(0.5), 2), 2), 2),
]


@pytest.mark.parametrize("policy", DECAYING, ids=repr)
def test_thresholds_of_every_step(policy, make_trace):
    trace = make_trace(3, lengths=(1,) * 12)
    general = policy.as_rule(6, 4)
    assert general is not None
    for step in range(STEPS):
        rule = general.at_step(step, STEPS)
        assert rule.schedule is None
        active, state, kept = torch.arange(12), policy.init(12), begin(rule, 12)
        for layer in range(1, 7):
            at = torch.full((len(active),), step)
            signals = trace.signals(layer, active, step=at, num_steps=STEPS)
            halt, state = policy.step(signals, state)
            found, kept = decide(rule, layer, kept, Seen(signals.logits))
            assert torch.equal(halt, found)
            active, state, kept = active[~halt], index_state(state, ~halt), kept.of(~halt)


def test_all_steps_at_once():
    rule = policies.Decay(policies.Margin(0.6)).as_rule(6, 4)
    assert rule is not None
    assert rule.schedule is not None
    known = [rule.at_step(step, STEPS).thresholds[0][0] for step in range(STEPS)]
    assert rule.schedule(torch.arange(STEPS), STEPS).tolist() == known
    assert sorted(known, reverse=True) == known
    assert len(set(known)) == STEPS


def test_a_schedule_without_an_end_is_refused():
    rule = policies.Decay(policies.Margin(0.6)).as_rule(6, 4)
    assert rule is not None
    with pytest.raises(UserError, match="largest number of steps"):
        rule.at_step(0)


@pytest.mark.parametrize("policy", LISTED, ids=repr)
def test_lists_of_words(policy, make_trace):
    trace = make_trace(4, lengths=(1,) * 12)
    rule = policy.as_rule(6, 4)
    assert rule is not None
    assert rule.shortlist >= 2
    active, state, kept = torch.arange(12), policy.init(12), begin(rule, 12)
    words = None
    for layer in range(1, 7):
        signals = trace.signals(layer, active)
        halt, state = policy.step(signals, state)
        logits = None
        if rule.asked[layer - 1]:
            whole = trace.signals(layer, active).logits
            if words is None:
                words = whole.topk(min(rule.shortlist, 4), dim=-1).indices
            logits = whole.gather(1, words)
        found, kept = decide(rule, layer, kept, Seen(logits))
        assert torch.equal(halt, found)
        active, state, kept = active[~halt], index_state(state, ~halt), kept.of(~halt)
        words = None if words is None else words[~halt]


@pytest.mark.parametrize(
    "policy",
    [
        policies.Shortlist(policies.Margin(0.3), 2, refresh=3),
        policies.Shortlist(policies.FromLayer(policies.Margin(0.3), 3)),
        policies.Shortlist(policies.LearnedGate(0.3)),
        policies.AnyOf((policies.Decay(),)),
    ],
    ids=repr,
)
def test_no_rule_where_none_would_be_right(policy):
    assert policy.as_rule(6, 4) is None


def test_lines_are_the_thresholds():
    rule = policies.FromLayer(policies.Entropy(0.1), 2).as_rule(3, 4)
    assert isinstance(rule, Rule)
    assert rule.lines().tolist() == [[-float("inf")], [rule.thresholds[1][0]], [rule.lines()[2][0]]]
    assert rule.lines().dtype == "float32"
