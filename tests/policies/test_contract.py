"""Every registered policy, and some inside each other, keep the promises of policies."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from tokenexit import policies
from tokenexit.policies import POLICIES, Policy, ThresholdSpec
from tokenexit.testing import check_policy

NESTED: list[Policy] = [
    policies.PCEE(policies.Window(policies.Entropy(0.5), 3), 2),
    policies.PCEE(policies.PerSentence(policies.Entropy(0.7)), 2),
    policies.AllOf((policies.Window(policies.MaxProb(0.6), 3), policies.Divergence(0.3))),
    policies.AnyOf((policies.Entropy(0.2), policies.Window(policies.Entropy(0.8), 3))),
    policies.PerSentence(policies.Patience(1)),
    policies.PerSentence(policies.MaxProb(0.7), how="mean"),
    policies.FromLayer(policies.EveryKth(policies.Margin(0.3), 2), 3),
    policies.PerClass(policies.Energy(-4.0), {"O": policies.Energy(-2.0)}),
    policies.PerClass(policies.Entropy(0.2), {"O": policies.Patience(1)}),
    policies.PerLayer.thresholds(policies.MaxProb(), [0.9, 0.8, 0.5]),
    policies.PCEE(policies.Decay(policies.MaxProb(0.5)), 2),
    policies.PCEE(policies.ContextGate(0.3), 2),
    policies.FromLayer(policies.AnyOf((policies.ContextGate(0.2), policies.Entropy(0.1))), 2),
    policies.TwoStage(policies.Entropy(0.8), policies.ContextGate(0.2)),
    policies.TwoStage(policies.Patience(1), policies.Decay(policies.Saturation(0.9))),
    policies.TwoStage(policies.LearnedGate(0.6), policies.Shortlist(policies.Patience(1), 2)),
    policies.Shortlist(policies.TwoStage(policies.Saturation(0.7), policies.Divergence(0.4)), 3),
    policies.Shortlist(policies.AllOf((policies.Patience(1), policies.Decay())), 2, refresh=3),
]
EXAMPLES: list[Policy] = [
    *(example for _, cls in POLICIES.items() for example in cls.examples()),
    *NESTED,
]


@pytest.mark.parametrize("policy", EXAMPLES, ids=repr)
def test_a_policy_keeps_its_promises(policy):
    check_policy(policy)


def test_every_module_registers_classes_reachable_by_name():
    for name, cls in POLICIES.items():
        assert getattr(policies, cls.__name__) is cls
        assert cls.__name__ in dir(policies)
        assert POLICIES.name_of(cls) == name
        assert cls.__doc__
        assert cls.examples()


@dataclass(frozen=True)
class Sure(Policy):
    """Halts rows whose probability is above a threshold; parts of it are broken below."""

    threshold: float = 0.5
    own_threshold = ThresholdSpec("threshold", strict=1.0, loose=0.0)

    def step(self, signals, state):
        return self.probability(signals) > self.threshold, state

    def probability(self, signals):
        return signals.logits.float().softmax(dim=-1).amax(dim=-1)


class Ranked(Sure):
    """Of the batch."""

    def step(self, signals, state):
        sure = self.probability(signals)
        return sure > sure.mean() + self.threshold - 0.5, state


class Drawn(Sure):
    """By chance."""

    def step(self, signals, state):
        return torch.rand(len(signals)) > self.threshold, state


class Turned(Sure):
    """The wrong way round."""

    def step(self, signals, state):
        return self.probability(signals) > 1 - self.threshold, state


class Column(Sure):
    """One column too many."""

    def step(self, signals, state):
        return (self.probability(signals) > self.threshold)[:, None], state


class Looks(Sure):
    """At a value."""

    def step(self, signals, state):
        assert all(number >= 0 for number in signals.position.tolist())
        return self.probability(signals) > self.threshold, state


@dataclass(frozen=True)
class Listed(Sure):
    """Keeps a list."""

    layers: tuple[int, ...] | list[int] = ()

    @classmethod
    def examples(cls):
        return [cls(0.5, [1, 2])]


class Unnegated(Sure):
    """Lets NaN out."""

    def step(self, signals, state):
        return ~(self.probability(signals) <= self.threshold), state


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (Ranked, "other sequences.*never with a mean"),
        (Drawn, "asked twice"),
        (Turned, "which is looser"),
        (Column, r"shape \[11, 1\]"),
        (Looks, "waits = True"),
        (Listed, "turn lists"),
        (Unnegated, "rows whose logits are NaN leave"),
        (Sure, r'@POLICIES.register\("sure"\)'),
    ],
)
def test_a_broken_policy_is_told_what_to_mend(broken, told, monkeypatch):
    monkeypatch.setattr(POLICIES, "_members", dict(POLICIES._members))
    if broken is not Sure:
        POLICIES.register(broken.__name__.lower())(broken)
    with pytest.raises(AssertionError, match=f"(?s){broken.__name__}.*{told}"):
        check_policy(broken)
