"""Exits taught by the top as well as by labels."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tokenexit.objectives import BatchInfo
from tokenexit.objectives.self_distillation import SelfDistillation
from tokenexit.signals import Signals


def signals(layer: int, logits: Tensor, target: list[int]) -> Signals:
    rows = len(logits)
    places = torch.arange(rows)
    return Signals(
        layer=layer,
        num_layers=2,
        hidden=logits,
        sequence=torch.zeros_like(places),
        position=places,
        item_id=places,
        num_sequences=1,
        extent=rows,
        head=lambda hidden: hidden,
        target=torch.tensor(target),
    )


def loss(objective: SelfDistillation, low: Tensor, top: Tensor, target: list[int]) -> Tensor:
    start: Any = objective.start(BatchInfo(0, 0.0, 0, (1, 2), 2, torch.zeros(1).long()))
    assert start.arrive(signals(1, low, target), torch.arange(len(low))) is None
    start.arrive(signals(2, top, target), torch.arange(len(low)))
    return start.loss()


def test_a_value_worked_out_by_hand():
    # Two words, the second without a class. At T=2, logits of 2 ln 3 and 0 give 3/4 and 1/4.
    low = torch.tensor([[0.0, 0.0], [5.0, 1.0]])
    top = torch.tensor([[2 * math.log(3), 0.0], [0.0, 7.0]])
    got = loss(SelfDistillation(share=0.25, temperature=2, weights="depth"), low, top, [0, -100])
    gap = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    low_part = 0.75 * math.log(2) + 0.25 * 4 * gap
    top_part = -math.log(9 / 10)  # at T=1, 9 to 1
    assert float(got) == pytest.approx(low_part / 3 + top_part * 2 / 3, rel=1e-5)


def test_the_teacher_hears_labels_only():
    low = torch.randn(4, 3, requires_grad=True)
    top = torch.randn(4, 3, requires_grad=True)
    target = [0, 1, 2, 0]
    loss(SelfDistillation(share=0.7), low, top, target).backward()
    chances = top.detach().softmax(-1) - torch.eye(3)[torch.tensor(target)]
    assert top.grad is not None
    torch.testing.assert_close(top.grad, chances * 2 / 3)  # cross-entropy, with its weight
    assert low.grad is not None
    assert low.grad.abs().sum() > 0


@pytest.mark.parametrize("rule", ["depth", "uniform"])
def test_without_a_share_it_is_joint(rule, toy, teach, agree):
    model = toy.build()
    sentences = toy.sentences(model, 4)
    plain = teach(model, {"name": "joint", "weights": rule}, sentences)
    none = teach(model, {"name": "self_distillation", "share": 0, "weights": rule}, sentences)
    some = teach(model, {"name": "self_distillation", "share": 0.5, "weights": rule}, sentences)
    torch.testing.assert_close(none.loss, plain.loss)
    agree(none.gradients, plain.gradients)
    assert float((some.loss - plain.loss).detach().abs()) > 0.01


def test_by_soft_targets_alone_exits_need_no_labels(toy, teach):
    model = toy.build()
    sentences = toy.sentences(model, 4)
    swapped = [
        type(s)(s.input_ids, s.word_rows, [(target + 1) % 3 for target in s.targets])
        for s in sentences
    ]
    first, second = (
        teach(model, {"name": "self_distillation", "share": 1.0}, batch)
        for batch in (sentences, swapped)
    )
    for name, gradient in first.gradients.items():
        if "heads.exits" in name:
            torch.testing.assert_close(gradient, second.gradients[name])
    assert first.reached("heads.exits.1.")
