"""Gradient equilibrium: the same values, gently."""

from __future__ import annotations

import pytest
import torch

from tokenexit.objectives.equilibrium import balanced


def same(layer, hidden):
    return hidden, hidden


def test_a_chain_of_numbers():
    # h_i = w_i h_(i-1), exit i adds a_i h_i to the loss, x = 2.
    a = (5.0, 7.0, 11.0)

    def run(fork):
        w = [torch.tensor(v, requires_grad=True) for v in (3.0, -1.5, 0.5)]
        hidden, loss = torch.tensor(2.0), torch.tensor(0.0)
        for layer in (1, 2, 3):
            hidden = w[layer - 1] * hidden
            seen = hidden
            if layer < 3:
                seen, hidden = fork(layer, hidden)
            loss = loss + a[layer - 1] * seen
        loss.backward()
        return float(loss.detach()), [float(v.grad) for v in w if v.grad is not None]

    plain, unscaled = run(same)
    value, scaled = run(balanced(same, (1, 2, 3)))
    assert value == plain
    assert unscaled == pytest.approx(
        [2 * (5 - 1.5 * 7 - 1.5 * 0.5 * 11), 6 * (7 + 0.5 * 11), -9 * 11]
    )
    # Layer 1 serves three exits, a third of each; layer 2 two; layer 3 one.
    assert scaled == pytest.approx([unscaled[0] / 3, unscaled[1] / 2, unscaled[2]])


def test_only_layers_with_an_exit_count():
    fork = balanced(same, (2, 6))
    hidden = torch.ones(3, requires_grad=True)
    for_head, upward = fork(2, hidden)
    for part, factor in ((for_head, 1 / 2), (upward, 1 / 2)):
        (gradient,) = torch.autograd.grad(part.sum(), hidden)
        torch.testing.assert_close(gradient, torch.full((3,), factor))
    for_head, upward = fork(6, hidden)
    assert torch.autograd.grad(for_head.sum(), hidden)[0].tolist() == [1, 1, 1]
    assert torch.autograd.grad(upward.sum(), hidden)[0].tolist() == [0, 0, 0]


def test_in_a_network(toy, teach):
    model = toy.build(double=True)
    sentences = toy.sentences(model, 5)
    plain = teach(model, "joint", sentences)
    calm = teach(model, "joint", sentences, equilibrium=True)
    assert torch.equal(plain.loss, calm.loss)
    share = {"embeddings": 3, "encoder.layer.0": 3, "encoder.layer.1": 2, "encoder.layer.2": 1}
    for name, gradient in plain.gradients.items():
        if gradient is None:  # rows nobody looked up have gradients of zero, not None
            continue
        divisor = next((value for part, value in share.items() if part in name), 1)
        torch.testing.assert_close(calm.gradients[name], gradient / divisor, rtol=1e-6, atol=1e-9)


def test_on_top_of_a_frozen_network(toy, teach):
    model = toy.build()
    taught = teach(model, "two_stage", toy.sentences(model, 4), equilibrium=True)
    assert not taught.reached("network.")
    assert taught.reached("heads.exits.1.")
