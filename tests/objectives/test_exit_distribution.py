"""Depth-Adaptive Transformer: distributions, oracles and rules, by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import tensor

from tokenexit.errors import UserError
from tokenexit.objectives import from_config
from tokenexit.objectives.exit_distribution import chosen_exits, geometric, smoothed
from tokenexit.objectives.mixed_depth import MixedDepth, MixedLoss
from tokenexit.policies.learned_gate import LearnedGate
from tokenexit.policies.likeliest_depth import LikeliestDepth
from tokenexit.signals import Signals
from tokenexit.training.batches import MicroBatch
from tokenexit.training.encoder_loss import EncoderLossModule

CHI = tensor([[0.2, 0.5, 0.1]])


def at(layer: int, **heads: Any) -> Signals:
    place = torch.zeros(1, dtype=torch.long)
    return Signals(
        layer=layer, num_layers=4, hidden=torch.zeros(1, 2), sequence=place, position=place,
        item_id=place, num_sequences=1, extent=1, head=lambda hidden: hidden, **heads,
    )  # fmt: skip


def test_a_stick_is_broken_and_the_top_takes_the_rest():
    assert geometric(CHI).exp().tolist()[0] == pytest.approx([0.2, 0.4, 0.04, 0.36])
    assert int(geometric(CHI).argmax()) == 1
    assert geometric(tensor([[1.0, 0.0]])).isfinite().all()


def test_the_rule_above_a_half_is_strict():
    asked = [
        bool(LearnedGate(0.5).step(at(n, gate_head=lambda s: 1 - CHI[:, s.layer - 1]), None)[0])
        for n in (1, 2, 3)
    ]
    assert asked == [False, False, False]  # ">=" would stop at the second
    sure = at(2, gate_head=lambda s: tensor([0.49]))
    assert bool(LearnedGate(0.5).step(sure, None)[0])


def test_the_likeliest_layer_is_run_to():
    def leaves(price: float) -> int:
        policy, state = LikeliestDepth(price), None
        for layer in range(1, 5):
            halt, state = policy.step(at(layer, depth_head=lambda _: geometric(CHI)), state)
            if halt:
                return layer
        return 5

    assert [leaves(price) for price in (-20, 0.0, 0.7, 20)] == [4, 2, 1, 1]


def test_an_exit_has_to_earn_its_price():
    likelihoods = tensor([[-2.0, -1.2, -1.1]])
    assert chosen_exits(likelihoods, 0.0).tolist() == [2]
    assert chosen_exits(likelihoods, 0.2).tolist() == [1]
    right = tensor([[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    assert chosen_exits(right, 0.0).tolist() == [1, 0]  # the lowest of equals
    assert chosen_exits(right, 0.1).tolist() == [1, 0]


def test_neighbours_of_the_same_text_have_a_say():
    worth = tensor([[1.0], [0.0], [0.0], [5.0]])
    found = smoothed(worth, tensor([0, 0, 0, 1]), tensor([0, 1, 2, 0]), sigma=2.0)
    near, far = torch.exp(tensor(-0.5)), torch.exp(tensor(-2.0))
    torch.testing.assert_close(found, torch.stack([tensor(1.0), near, far, tensor(5.0)])[:, None])
    assert smoothed(worth, tensor([0] * 4), tensor([0, 1, 2, 3]), 0.0) is worth


@pytest.fixture
def learn(toy):
    def learn(**settings: Any) -> tuple[float, dict[str, Any]]:
        model = toy.build(double=True, sharp=3.0, gate=True)
        sentences = toy.sentences(model, 5, unlabelled=0.2)
        words = sum(t != -100 for s in sentences for t in s.targets)
        objective = from_config({"name": "exit_distribution", **settings})
        module = EncoderLossModule(model.train(), objective)
        total = module(MicroBatch(sentences, [*range(5)], words), 3, 0.5, 0).total
        total.backward()
        return float(total.detach()), {n: w.grad for n, w in model.named_parameters()}

    return learn


def test_its_loss_reaches_the_network_and_nothing_does_without_it(learn):
    plain, without = learn(share=0.0)
    joint, _ = learn(share=0.0, price=3.0)
    assert plain == joint
    total, grads = learn(share=0.5)
    assert total > plain
    assert without["heads.gate.project.weight"] is None
    assert grads["heads.gate.project.weight"].any()
    query = "network.bert.encoder.layer.0.attention.self.query.weight"
    assert (grads[query] - without[query]).abs().max() > 1e-6
    # What a further exit costs moves the oracle, and so the loss.
    costs = {learn(share=0.5, oracle=o, price=p)[0] for o in ("likelihood", "correctness")
             for p in (0.0, 5.0)}  # fmt: skip
    assert len(costs) >= 3


def test_mixed_training_is_the_mean_over_drawn_exits(learn, toy, monkeypatch):
    once, twice = learn(share=0.0, mixed=1)[0], learn(share=0.0, mixed=2)[0]
    assert once != twice
    start = MixedDepth.start
    total = 0.0
    for number in range(2):
        monkeypatch.setattr(MixedDepth, "start", lambda s, info, n=number: MixedLoss(s, info, n))
        model = toy.build(double=True, sharp=3.0, gate=True)
        sentences = toy.sentences(model, 5, unlabelled=0.2)
        for weight in model.heads.gate.parameters():
            weight.requires_grad_(False)
        module = EncoderLossModule(model.train(), from_config("mixed_depth"))
        found = module(MicroBatch(sentences, [*range(5)], 1), 3, 0.5, 0).total
        total += float(found.detach()) / 2
    monkeypatch.setattr(MixedDepth, "start", start)
    assert twice == pytest.approx(total)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"oracle": "likely"}, "exit_distribution.oracle"),
        ({"halting": "poisson"}, "exit_distribution.halting"),
        ({"price": -1}, "price must be 0 or more"),
        ({"mixed": True}, "mixed must be 0 or more"),
    ],
)
def test_mistakes(settings, told):
    with pytest.raises(UserError, match=told):
        from_config({"name": "exit_distribution", **settings})
