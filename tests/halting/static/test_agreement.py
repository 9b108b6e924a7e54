"""``static`` and ``eager`` agree: words leave at the same layers and say the same."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from tokenexit import policies
from tokenexit.backbones import BACKBONES
from tokenexit.halting import Sentence
from tokenexit.heads import ExitHeads
from tokenexit.policies import POLICIES, Policy
from tokenexit.static import StaticEncoder
from tokenexit.static.decide import KNOWN

LAYERS, CLASSES = 6, ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
FAMILIES = [name for name, _ in BACKBONES.items()]


def served(policy: Policy) -> bool:
    rule = policy.as_rule(LAYERS, len(CLASSES), CLASSES)
    return rule is not None and rule.score in KNOWN and rule.schedule is None


RULED: list[Policy] = [
    policy
    for _, kind in POLICIES.items()
    if "word" in kind.units
    for policy in kind.examples()
    if served(policy)
]
FIRST = [policy for policy in RULED if policy == type(policy).examples()[0]]
OTHERS = [policy for policy in RULED if policy not in FIRST]
NESTED: list[Policy] = [
    policies.PCEE(policies.Entropy(0.6), 2),
    policies.PCEE(policies.FromLayer(policies.MaxProb(0.5), 3), 2),
    policies.Window(policies.PCEE(policies.Entropy(0.7), 2), 3),
    policies.Window(policies.Margin(0.2), 99),
    policies.Window(policies.PerClass(policies.MaxProb(0.5), {"O": policies.MaxProb(0.3)}), 3),
    policies.PerSentence(policies.Patience(1)),
    policies.PerSentence(policies.MaxProb(0.6), how="mean"),
    policies.PerLayer((policies.Never(), policies.Entropy(0.5), policies.Entropy(0.1))),
    policies.FromLayer(policies.EveryKth(policies.Margin(0.3), 2), 3),
    policies.EveryKth(policies.Saturation(0.5), 2),
    policies.AssignedDepth(1),
    policies.RandomExit(1.0),
    policies.ContextGate(0.3),
    policies.Window(policies.ContextGate(0.4), 3),
    policies.PerSentence(policies.ContextGate(0.4)),
    policies.PCEE(policies.FromLayer(policies.ContextGate(0.3), 2), 2),
    policies.EveryKth(policies.ContextGate(0.4), 2),
]


@pytest.fixture(scope="session", params=FAMILIES)
def network(request: pytest.FixtureRequest, build: Any) -> Any:
    """One network of each family, in double precision."""
    return build(request.param)


def same(mine: Any, other: Any, scored: bool = True, near: float = 1e-10) -> None:
    """Decisions, and work but for the rows that a head scored: here those who stay as well."""
    assert torch.equal(mine[0].exit_layers, other[0].exit_layers)
    assert_close(mine[0].logits, other[0].logits, atol=near, rtol=near)
    for one, two in zip(mine[1], other[1], strict=True):
        if not scored:
            one, two = one._replace(head=0), two._replace(head=0)
        assert one == two


def test_there_is_something_to_agree_on():
    assert {type(policy).__name__ for policy in RULED} >= {
        "Entropy", "Patience", "Window", "PerClass", "Hash", "LearnedGate", "Saturation", "Never",
    }  # fmt: skip


@pytest.mark.parametrize("policy", FIRST, ids=repr)
def test_every_policy_in_every_family(network, sentences, eagerly, statically, policy):
    # DeBERTa computes parts in single precision.
    near = 1e-5 if network.backbone.config.model_type == "deberta-v2" else 1e-10
    same(statically(network, sentences, policy), eagerly(network, sentences, policy), False, near)


@pytest.mark.parametrize("policy", [*OTHERS, *NESTED], ids=repr)
@pytest.mark.parametrize(("halted", "behind"), [("copy", 0), ("drop", 1), ("restore", 2)])
def test_whatever_halted_rows_give_and_however_late_counts_are(
    build, sentences, eagerly, statically, policy, halted, behind
):
    network = build("bert")
    mine = statically(network, sentences, policy, halted, behind=behind)
    same(mine, eagerly(network, sentences, policy, halted), False)


@pytest.mark.parametrize("policy", [policies.Entropy(0.5), policies.Window()], ids=repr)
def test_heads_score_all_who_arrive(build, sentences, eagerly, statically, policy):
    network = build("bert")
    same(statically(network, sentences, policy), eagerly(network, sentences, policy))


@pytest.mark.parametrize("policy", [policies.Entropy(0.5), policies.Window()], ids=repr)
def test_one_encoder_serves_batches_of_all_sizes(build, sentences, eagerly, statically, policy):
    network = build("roberta")
    encoder = StaticEncoder(network.backbone, network.heads, len(CLASSES))
    for size in (8, 1, 3, 5, 8, 2):
        for start in range(0, len(sentences), size):
            chunk = sentences[start : start + size]
            mine = statically(network, chunk, policy, encoder=encoder)
            same(mine, eagerly(network, chunk, policy))


def test_what_became_of_a_batch_stays(build, sentences, statically):
    network, policy = build("bert"), policies.Entropy(0.5)
    encoder = StaticEncoder(network.backbone, network.heads, len(CLASSES))
    first, _ = statically(network, sentences, policy, encoder=encoder)
    logits, layers = first.logits.clone(), first.exit_layers.clone()
    statically(network, sentences[::-1], policies.Never(), encoder=encoder)
    assert torch.equal(first.logits, logits)
    assert torch.equal(first.exit_layers, layers)


@pytest.mark.parametrize("layer", range(1, LAYERS + 1))
@pytest.mark.parametrize("framed", [True, False])
def test_one_word_and_everybody_at_once(build, sentences, eagerly, statically, layer, framed):
    network, policy = build("bert"), policies.AssignedDepth(layer)
    word = Sentence([2, 9, 3], [[1]]) if framed else Sentence([9], [[0]])
    for texts in ([word], sentences):
        mine = statically(network, texts, policy)
        same(mine, eagerly(network, texts, policy), False)
        assert {*mine[0].exit_layers.tolist()} == {layer}


@pytest.mark.parametrize("texts", [[], [Sentence([2, 3], [])], [Sentence([2, 3], [])] * 3])
def test_no_words_at_all(build, statically, texts):
    decided, work = statically(build("bert"), texts, policies.Entropy(0.5))
    assert len(decided.logits) == len(decided.exit_layers) == 0
    assert not any(layer.calls for layer in work)


def test_segments_of_a_pair_and_special_tokens_anywhere(build, eagerly, statically):
    texts = [
        Sentence([2, 2, 9, 3, 3, 11, 12, 3, 14, 2], [[2], [5, 6], [8]], segments=[0] * 5 + [1] * 5),
        Sentence([2, 9, 11, 3], [[1], [2]]),
    ]
    network, policy = build("bert"), policies.Hash(1, 6)
    same(statically(network, texts, policy), eagerly(network, texts, policy), False)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_single_precision_and_eager_attention(build, sentences, eagerly, statically, attention):
    network, policy = build("bert", attention, torch.float32), policies.Entropy(0.5)
    mine, other = statically(network, sentences, policy), eagerly(network, sentences, policy)
    assert torch.equal(mine[0].exit_layers, other[0].exit_layers)
    assert_close(mine[0].logits, other[0].logits, atol=1e-4, rtol=1e-4)


def test_heads_that_read_means(build, sentences, eagerly, statically):
    network = build("bert")
    heads = copy.deepcopy(network.heads)
    heads.pool = "mean"
    means, policy = replace(network, heads=heads), policies.Entropy(0.5)
    same(statically(means, sentences, policy), eagerly(means, sentences, policy))


@pytest.mark.parametrize("policy", [policies.Entropy(0.85), policies.RandomExit(0.4)], ids=repr)
@pytest.mark.parametrize("layers", [(1, 2, 3, 4, 5), (2, 5)])
def test_heads_that_read_the_past(build, sentences, eagerly, statically, policy, layers):
    torch.manual_seed(0)
    network = build("bert")
    heads = ExitHeads({"name": "past_future"}, layers, 32, len(CLASSES)).double().eval()
    past, policy = replace(network, heads=heads), policies.FromLayer(policy, 2)
    mine, other = statically(past, sentences, policy), eagerly(past, sentences, policy)
    same(mine, other, False)
    assert len(mine[0].exit_layers.unique()) > 1


@pytest.mark.parametrize("name", ["linear", "units", "pair", "meta"])
@pytest.mark.parametrize("layers", [(1, 2, 3, 4, 5), (2, 4)])
def test_every_gate(build, sentences, eagerly, statically, name, layers):
    torch.manual_seed(1)
    network = build("bert")
    heads = ExitHeads({"gate": {"name": name}}, layers, 32, len(CLASSES)).double().eval()
    gated, policy = replace(network, heads=heads), policies.LearnedGate(0.5)
    same(statically(gated, sentences, policy), eagerly(gated, sentences, policy), False)
