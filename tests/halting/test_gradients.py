"""Training runs through the engine: same values, the reference's gradients, and forks."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tokenexit import policies
from tokenexit.halting import PolicyVisitor, encode, encode_dense, pack

POLICY = policies.Entropy(0.4)


@pytest.fixture
def trainable(network: Any) -> Any:
    """A copy of a network whose weights ask for gradients; still without dropout."""
    twin = copy.deepcopy(network)
    twin.backbone.model.requires_grad_(True)
    twin.heads.requires_grad_(True)
    return twin


def gradients(network: Any, sentences: Any, *, dense: bool, halted: Any) -> tuple[Any, Any]:
    """Decisions of a run under grad, and the gradients of a fixed function of its logits."""
    batch: Any = pack(sentences)
    visitor = PolicyVisitor(POLICY, batch.num_words, "cpu")
    run: Any = encode_dense if dense else encode
    run(network.backbone, network.heads, batch, visitor, halted=halted)
    decided = visitor.decisions()
    weights = [*network.backbone.model.named_parameters(), *network.heads.named_parameters()]
    slope = torch.linspace(-1, 1, decided.logits.shape[1])
    loss = (decided.logits * slope).square().mean()
    found = torch.autograd.grad(loss, [weight for _, weight in weights], allow_unused=True)
    named = zip((name for name, _ in weights), found, strict=True)
    return decided, {name: grad for name, grad in named if grad is not None and grad.any()}


@pytest.mark.parametrize("halted", ["copy", "drop"])
def test_gradients_are_those_of_the_reference(trainable, sentences, run, halted):
    decided, got = gradients(trainable, sentences, dense=False, halted=halted)
    same, expected = gradients(trainable, sentences, dense=True, halted=halted)
    assert len(decided.exit_layers.unique()) > 2
    assert torch.equal(decided.exit_layers, same.exit_layers)
    assert got.keys() == expected.keys()
    assert any("embeddings" in name for name in got)
    # These two compute parts of their attention in single precision.
    single = trainable.backbone.config.model_type in ("deberta-v2", "modernbert")
    for name in got:
        close: Any = {"atol": 1e-4, "rtol": 1e-3} if single else {"atol": 1e-10, "rtol": 1e-8}
        assert_close(got[name], expected[name], **close)
    quiet = run(trainable, sentences, POLICY, halted=halted)
    order = torch.from_numpy(pack(sentences).order)
    batch = pack(sentences)
    place = (order[batch.word_sequence] * 1000 + batch.word_position).argsort()
    assert torch.equal(decided.exit_layers[place], quiet.exit_layers)
    assert_close(decided.logits[place], quiet.logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("halted", "reached"), [("copy", True), ("drop", False)])
def test_copied_states_are_trained_through(trainable, make_sentence, halted, reached):
    """Late words read what early words left behind, unless it has been dropped."""
    sentence = make_sentence([1] * 8)
    batch = pack([sentence])
    policy = policies.AssignedDepth(6, dict.fromkeys(batch.word_item[:4].tolist(), 1))
    visitor = PolicyVisitor(policy, batch.num_words, "cpu")
    states: list[Tensor] = []

    def fork(layer: int, hidden: Tensor) -> tuple[Tensor, Tensor]:
        states.append(hidden)
        return hidden, hidden

    encode(trainable.backbone, trainable.heads, batch, visitor, halted=halted, fork=fork)
    decided = visitor.decisions()
    early, late = decided.exit_layers == 1, decided.exit_layers == 6
    assert early.any()
    assert late.any()
    (grad,) = torch.autograd.grad(decided.logits[late].sum(), [states[0]])
    rows = torch.from_numpy(batch.first_row)
    assert bool(grad[rows[early]].abs().sum() > 0) == reached
    assert grad[rows[late]].abs().sum() > 0


def test_fork_parts_heads_from_network(build, sentences):
    network, batch, visits = build("bert"), pack(sentences), []
    plain = PolicyVisitor(policies.Hash(1, 6), batch.num_words, "cpu")
    encode(network.backbone, network.heads, batch, plain)

    def fork(layer: int, hidden: Tensor) -> tuple[Tensor, Tensor]:
        visits.append(layer)
        return torch.zeros_like(hidden), hidden

    forked = PolicyVisitor(policies.Hash(1, 6), batch.num_words, "cpu")
    encode(network.backbone, network.heads, batch, forked, fork=fork)
    assert visits == [1, 2, 3, 4, 5]  # the top is no fork: nothing lies above it
    expected, got = plain.decisions(), forked.decisions()
    assert torch.equal(got.exit_layers, expected.exit_layers)
    top = expected.exit_layers == 6
    assert torch.equal(got.logits[top], expected.logits[top])
    for layer in (1, 2, 3, 4, 5):
        here = expected.exit_layers == layer
        bias = network.heads.at(layer).project.bias
        assert torch.equal(got.logits[here], bias.expand(int(here.sum()), -1))


def test_fork_reaches_the_network_above(build, sentences):
    network, batch = build("bert"), pack(sentences)
    plain = PolicyVisitor(policies.Never(), batch.num_words, "cpu")
    encode(network.backbone, network.heads, batch, plain)
    forked = PolicyVisitor(policies.Never(), batch.num_words, "cpu")

    def fork(layer: int, hidden: Tensor) -> tuple[Tensor, Tensor]:
        return hidden, hidden + (layer == 3)

    encode(network.backbone, network.heads, batch, forked, fork=fork)
    assert not torch.allclose(plain.decisions().logits, forked.decisions().logits)
