"""CascadeBERT's margin, by hand, and which of its models has it."""

from __future__ import annotations

import pytest
import torch
from torch import tensor

from tokenexit.methods import METHODS
from tokenexit.objectives import from_config
from tokenexit.objectives.difficulty_aware import ranked
from tokenexit.training.batches import MicroBatch
from tokenexit.training.column import Column
from tokenexit.training.encoder_loss import EncoderLossModule
from tokenexit.training.loss_module import Beside


def test_the_margin_by_hand():
    easy = tensor([True, False])
    for lots in (None, tensor([0.3, 0.9])):
        assert float(ranked(tensor([0.9, 0.8]), easy, 0.5, lots)) == pytest.approx(0.4)
        assert float(ranked(tensor([0.95, 0.4]), easy, 0.5, lots)) == 0
        assert float(ranked(tensor([0.9, 0.8]), tensor([True, True]), 0.5, lots)) == 0
        assert float(ranked(tensor([0.9, 0.8]), tensor([False, False]), 0.5, lots)) == 0


def test_each_easy_row_meets_one_hard_row_by_lot():
    sure, easy = tensor([0.6, 0.5, 0.9, 0.1, 0.3]), tensor([True, False, True, False, False])
    # The first meets the first hard row (0.5), the third the last (0.3).
    found = ranked(sure, easy, 0.5, tensor([0.0, 0.0, 0.99, 0.0, 0.0]))
    assert float(found) == pytest.approx((0.4 + 0.0) / 2)
    found = ranked(sure, easy, 0.5, tensor([0.5, 0.0, 0.0, 0.0, 0.0]))
    assert float(found) == pytest.approx((0.0 + 0.1) / 2)


def test_what_is_hard_was_told_before(toy):
    model = toy.build(double=True)
    sentences = toy.sentences(model, 4)
    words = sum(len(s.targets) for s in sentences)
    part = MicroBatch(sentences, [0, 1, 2, 3], words, texts=[0, 1, 2, 3])

    def loss(mistaken: torch.Tensor, **settings) -> float:
        told = {"name": "difficulty_aware", "hard": "before", "margin": 1.0, **settings}
        module = EncoderLossModule(model, from_config(told))
        module.beside = Beside(None, {"mistaken": Column("word", mistaken)}, sentences)
        return float(module(part, 0, 0.0, 0).total.detach())

    plain = loss(torch.zeros(words), share=0.0)
    assert loss(torch.zeros(words)) == loss(torch.ones(words)) == plain
    some = (torch.arange(words) % 2).double()
    assert loss(some) > plain
    assert loss(some, pairs="drawn") > plain


def test_the_large_model_has_no_margin():
    method = METHODS.get("cascadebert")
    small, large = method.stages
    assert method.train["objective"] == {"name": "single"}
    assert "train" not in large
    first, second = small["train"]["phases"]
    assert (first["objective"]["name"], first["teacher"]) == ("distillation", "next")
    assert second["objective"]["name"] == "difficulty_aware"
