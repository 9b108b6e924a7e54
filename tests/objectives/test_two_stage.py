"""First the network, then exits on a network that does not move."""

from __future__ import annotations

import torch

from tokenexit.objectives.two_stage import TwoStage
from tokenexit.training.optimizer import build_optimizer


def test_before_the_split_only_the_top_learns(toy, teach, agree):
    model = toy.build()
    sentences = toy.sentences(model, 4)
    first = teach(model, TwoStage(split=0.5), sentences, progress=0.49)
    single = teach(model, "single", sentences)
    torch.testing.assert_close(first.loss, single.loss)
    agree(first.gradients, single.gradients)
    assert first.reached("network.bert")
    assert not first.reached("heads.")


def test_after_the_split_only_exits_learn(toy, teach, plain_logits, targets_of, summed_loss):
    model = toy.build(double=True)
    sentences = toy.sentences(model, 4)
    second = teach(model, TwoStage(split=0.5), sentences, progress=0.5)
    assert second.reached("heads.exits.1.")
    assert second.reached("heads.exits.2.")
    # None rather than zero: a zero would still move a weight by decay and by momentum.
    assert all(g is None for name, g in second.gradients.items() if name.startswith("network."))
    assert sorted(second.by_layer) == [1, 2]
    logits, targets = plain_logits(model, sentences), targets_of(sentences)
    expected = (summed_loss(logits[1], targets) + summed_loss(logits[2], targets)) / 2
    torch.testing.assert_close(second.loss.double(), expected, rtol=1e-6, atol=0)


def test_the_network_stays_bit_for_bit(toy, teach):
    model = toy.build()
    sentences = toy.sentences(model, 4)
    config = toy.TrainConfig(lr=0.1, head_lr=0.1, weight_decay=0.1)
    optimizer = build_optimizer(model, config)
    for progress in (0.1, 0.2):  # momentum to be carried over
        teach(model, "two_stage", sentences, progress=progress)
        optimizer.step()
    before = toy.weights(model)
    for progress in (0.7, 0.8, 0.9):
        teach(model, "two_stage", sentences, progress=progress)
        optimizer.step()
    moved = {name for name, value in toy.weights(model).items() if not value.equal(before[name])}
    assert moved == {name for name in before if name.startswith("heads.exits.")}
