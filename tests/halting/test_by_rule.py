"""Decisions by rule, and products shared by rows that ask for none: the same as the plain way."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tokenexit import kernels, policies
from tokenexit.backbones import Inference, adapt
from tokenexit.halting import PolicyVisitor, attention, encode, pack
from tokenexit.halting.by_rule import RuleVisitor, stated
from tokenexit.policies import Policy

CLASSES = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
RULED: list[Policy] = [
    policies.MaxProb(0.6),
    policies.PerClass(policies.Entropy(0.6), {"O": policies.Entropy(0.8)}),
    policies.FromLayer(policies.Entropy(0.7), 3),
    policies.Patience(1),
    policies.Window(policies.MaxProb(0.6), 3),
    policies.PerSentence(policies.Entropy(0.8)),
]
OTHERS: list[Policy] = [policies.Vote(2), policies.AssignedDepth(3), policies.Saturation(0.95)]


@pytest.fixture(scope="module")
def low(build: Any) -> Any:
    """A network in int8, by torch."""
    network = build("bert", "sdpa", torch.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "library", lambda: None)
        twin = Inference(adapt, precision="int8").get(network.backbone.model)
    return type(network)(twin, network.heads)


def outcome(low: Any, sentences: list[Any], visitor: PolicyVisitor) -> tuple[Any, Any]:
    states: list[torch.Tensor] = []
    with torch.inference_mode():
        batch = pack(sentences)
        work = encode(low.backbone, low.heads, batch, visitor, classes=CLASSES, states=states)
    return work, (visitor.decisions(), states)


@pytest.mark.parametrize("policy", RULED, ids=repr)
def test_rules_decide_as_policies_do(low: Any, sentences: list[Any], policy: Policy) -> None:
    rule = stated(policy, low.backbone.num_layers, CLASSES, low.heads.layers)
    assert rule is not None
    words = pack(sentences).num_words
    work, (mine, _) = outcome(low, sentences, RuleVisitor(policy, rule, words))
    wanted_work, (wanted, _) = outcome(low, sentences, PolicyVisitor(policy, words, "cpu"))
    assert torch.equal(mine.exit_layers, wanted.exit_layers)
    assert torch.equal(mine.logits, wanted.logits)
    assert len(mine.exit_layers.unique()) > 1
    assert work == wanted_work


@pytest.mark.parametrize("policy", OTHERS, ids=repr)
def test_others_are_asked_themselves(low: Any, policy: Policy) -> None:
    assert stated(policy, low.backbone.num_layers, CLASSES, low.heads.layers) is None


def test_a_product_for_all_rows_gives_each_its_own_numbers(
    low: Any, sentences: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, words = policies.MaxProb(0.6), pack(sentences).num_words
    asked: list[bool] = []
    real = low.backbone.joint
    monkeypatch.setattr(low.backbone, "joint", lambda index: asked.append(True) or real(index))
    _, (mine, states) = outcome(low, sentences, PolicyVisitor(policy, words, "cpu"))
    assert asked
    assert real(0)
    monkeypatch.setattr(attention, "FEW", -1)
    _, (wanted, apart) = outcome(low, sentences, PolicyVisitor(policy, words, "cpu"))
    assert all(map(torch.equal, states, apart))
    assert torch.equal(mine.exit_layers, wanted.exit_layers)


def test_a_network_in_float_shares_nothing(build: Any) -> None:
    assert not build("bert", "sdpa", torch.float32).backbone.joint(0)
