"""The engine and the plain reference agree, and what has halted stays as it is."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from tokenexit import policies
from tokenexit.errors import UserError
from tokenexit.halting import HALTED, pack
from tokenexit.policies import POLICIES, Policy

FIRST: list[Policy] = [cls.examples()[0] for _, cls in POLICIES.items() if "word" in cls.units]
OTHERS: list[Policy] = [
    one for _, cls in POLICIES.items() if "word" in cls.units for one in cls.examples()[1:]
]
NESTED: list[Policy] = [
    policies.PCEE(policies.Window(policies.Entropy(0.5), 3), 2),
    policies.AnyOf((policies.Entropy(0.2), policies.Window(policies.Entropy(0.8), 3))),
    policies.PerSentence(policies.Patience(1)),
]
# The only ones that may treat all words alike; any other has to be told apart by a test.
STATIC: tuple[Policy, ...] = (policies.Never(), policies.AssignedDepth(3))
# No one threshold on the change of states tells words apart in all of the random networks.
UNSETTLED: tuple[Policy, ...] = (policies.Saturation(0.95),)

every_policy = pytest.mark.parametrize("policy", FIRST, ids=repr)


@pytest.fixture(scope="module")
def outcome(sentences: Any, run: Any) -> Iterator[Callable[..., Any]]:
    """Runs of all sentences, each made once for all tests that look at it."""
    made: dict[Any, Any] = {}

    def get(network: Any, policy: Policy, **options: Any) -> Any:
        key = network, policy, tuple(options.items())
        if key not in made:
            states = None if options.get("dense") or options.get("absorb", True) else []
            given = options if states is None else {**options, "states": states}
            made[key] = run(network, sentences, policy, **given)
        return made[key]

    yield get
    made.clear()


def check_same(network: Any, first: Any, second: Any) -> None:
    """Same exit layers; logits to rounding (DeBERTa computes parts of it in single precision)."""
    assert torch.equal(first.exit_layers, second.exit_layers)
    tolerance = 1e-5 if network.backbone.config.model_type == "deberta-v2" else 1e-10
    assert_close(first.logits, second.logits, atol=tolerance, rtol=tolerance)


def check_spread(policy: Policy, outcome: Any) -> None:
    """Words leave at several layers: without that, an agreement says little."""
    if policy not in UNSETTLED:
        assert (outcome.spread > 1) != (policy in STATIC)


@every_policy
def test_engine_agrees_with_reference(network, policy, outcome):
    check_agreement(network, policy, outcome)


@pytest.mark.parametrize("policy", [*OTHERS, *NESTED], ids=repr)
@pytest.mark.parametrize("model_type", ["bert", "modernbert"])
def test_engine_agrees_with_reference_for_further_settings(build, model_type, policy, outcome):
    check_agreement(build(model_type), policy, outcome)


def check_agreement(network: Any, policy: Policy, outcome: Any) -> None:
    dense = outcome(network, policy, dense=True)
    check_spread(policy, dense)
    check_same(network, outcome(network, policy), dense)
    check_same(network, outcome(network, policy, absorb=False), dense)


@every_policy
def test_engine_agrees_with_reference_when_halted_rows_are_gone(network, policy, outcome):
    for halted in ("drop", "restore"):
        dense = outcome(network, policy, halted=halted, dense=True)
        check_same(network, outcome(network, policy, halted=halted), dense)


@pytest.mark.parametrize("policy", [policies.Entropy(0.3), policies.Window()], ids=repr)
@pytest.mark.parametrize("halted", HALTED)
def test_engine_agrees_with_reference_under_eager_attention(
    build, network, policy, halted, sentences, run
):
    # Not in double precision: under eager attention ModernBERT is then NaN on padding.
    eager = build(network.backbone.config.model_type, "eager", torch.float32)
    dense = run(eager, sentences, policy, halted=halted, dense=True)
    assert dense.spread > 1
    for absorb in (True, False):
        engine = run(eager, sentences, policy, halted=halted, absorb=absorb)
        assert torch.equal(engine.exit_layers, dense.exit_layers)
        assert_close(engine.logits, dense.logits, atol=1e-4, rtol=1e-5)


def test_rules_for_halted_rows_differ(network, outcome):
    """Or the tests above could not tell them apart."""
    policy = policies.Entropy()
    copy, drop, restore = (outcome(network, policy, halted=halted) for halted in HALTED)
    assert not torch.equal(copy.logits, drop.logits)
    assert torch.equal(drop.exit_layers, restore.exit_layers)
    top = restore.exit_layers == network.backbone.num_layers
    assert torch.equal(drop.logits[top], restore.logits[top])
    assert (drop.logits[~top] != restore.logits[~top]).any(dim=-1).all()


@pytest.mark.parametrize("layers", [(3,), (2, 5)])
@pytest.mark.parametrize("policy", [policies.Entropy(0.5), policies.Patience(1)], ids=repr)
def test_exits_at_some_layers_only(network, sentences, run, layers, policy):
    class Fewer:
        def __init__(self) -> None:
            self.layers, self.reads_past, self.pool = layers, False, "first"

        def __getattr__(self, name: str) -> Any:
            return getattr(network.heads, name)

    fewer = replace(network, heads=Fewer())
    dense = run(fewer, sentences, policy, dense=True)
    assert {*dense.exit_layers.tolist()} <= {*layers, network.backbone.num_layers}
    assert dense.spread > 1 or policy == policies.Patience(1)
    check_same(network, run(fewer, sentences, policy), dense)


@every_policy
def test_halted_rows_never_change(network, policy, outcome, sentences):
    for options in ({"absorb": False}, {"dense": True}):
        done = outcome(network, policy, **options)
        frozen, moved = freezes(done, sentences)
        assert moved
        if policy not in (*STATIC, *UNSETTLED):
            assert frozen


def freezes(done: Any, sentences: Any) -> tuple[int, int]:
    """Count how often a halted word stayed the same and another changed, bit for bit."""
    batch, states = pack(sentences), done.states
    exits = iter(done.exit_layers.tolist())
    start = dict(zip(batch.order, batch.lengths.cumsum() - batch.lengths, strict=True))
    frozen = moved = 0
    for number, sentence in enumerate(sentences):
        for rows in sentence.word_rows:
            exit_layer = next(exits)
            own = torch.tensor(rows) + int(start[number])
            for layer in range(2, len(states) + 1):
                before, after = states[layer - 2][own], states[layer - 1][own]
                if layer > exit_layer:  # every sub-word of the word, not the first alone
                    assert torch.equal(before, after)
                    frozen += 1
                else:
                    assert (before != after).any(dim=-1).all()
                    moved += 1
    return frozen, moved


def test_unknown_rule_for_halted_rows(build, sentences, run):
    with pytest.raises(UserError, match=r"'copyy'.*Did you mean 'copy'"):
        run(build("bert"), sentences, policies.Never(), halted="copyy")


@pytest.fixture
def reading_means(network):
    """The same network with heads that read the mean of all sub-words of a word."""
    heads = copy.deepcopy(network.heads)
    heads.pool = "mean"
    return replace(network, heads=heads)


@pytest.mark.parametrize("halted", HALTED)
@pytest.mark.parametrize("policy", [policies.Entropy(0.5), policies.Hash(2, 4)], ids=repr)
def test_heads_that_read_means_agree_with_reference(reading_means, sentences, run, policy, halted):
    dense = run(reading_means, sentences, policy, halted=halted, dense=True)
    for absorb in (True, False):
        engine = run(reading_means, sentences, policy, halted=halted, absorb=absorb)
        assert torch.equal(engine.exit_layers, dense.exit_layers)
        assert_close(engine.logits, dense.logits, atol=1e-6, rtol=1e-5)


def test_the_top_head_scores_first_sub_words_wherever_a_word_left(reading_means, sentences, run):
    """Whatever the exits read, the top's head has learned from nothing else."""
    backbone = reading_means.backbone
    states: list[torch.Tensor] = []
    policy = policies.AssignedDepth(2)
    found = run(reading_means, sentences, policy, halted="restore", states=states)
    batch = pack(sentences)
    with torch.no_grad():
        expected = backbone.classify(backbone.finish(states[1][batch.first_row]))
    place = torch.from_numpy(batch.order)[batch.word_sequence] * 1000 + batch.word_position
    assert found.exit_layers.unique().tolist() == [2]
    assert_close(found.logits, expected[place.argsort()], atol=1e-6, rtol=1e-5)
