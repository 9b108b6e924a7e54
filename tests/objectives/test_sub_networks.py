"""Widths and depths in one step: which layers, which losses, and by hand what they are."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from tokenexit.backbones import sliced
from tokenexit.errors import UserError
from tokenexit.halting import encode, pack
from tokenexit.objectives import from_config
from tokenexit.objectives.sub_network import SubNetwork
from tokenexit.objectives.sub_networks import SubNetworks, layers_of
from tokenexit.training.batches import MicroBatch, labelled_words
from tokenexit.training.encoder_loss import EncoderLossModule
from tokenexit.training.loss_module import Beside
from tokenexit.widths import Widths

NAME = "sub_networks"


def test_layers_of_a_depth_are_the_released_ones():
    assert layers_of(12, 0.75) == [0, 1, 2, 4, 5, 6, 8, 9, 10]
    assert layers_of(12, 0.5) == [0, 2, 4, 6, 8, 10]
    assert layers_of(12, 1.0) == [*range(12)]
    assert layers_of(2, 0.1) == [0]


def test_every_width_at_every_depth_is_a_pass():
    parts = [*SubNetworks(widths=(0.5, 1), depths=(1, 0.5)).parts(4)]
    assert [part.widths for part in parts] == [Widths(1.0, 1.0), Widths(0.5, 0.5)] * 2
    assert [part.without for part in parts] == [frozenset()] * 2 + [frozenset({2, 4})] * 2


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"widths": []}, "list of shares"),
        ({"widths": 0.5}, "list of shares"),
        ({"depths": [0, 1]}, "above 0 and at most 1"),
        ({"states": -1}, "must be 0 or more"),
        ({"soft": 0}, "learns from nothing"),
    ],
)
def test_bad_settings_are_refused(told: Any, why: str):
    with pytest.raises(UserError, match=why):
        from_config({"name": NAME, **told})


class Top:
    """Keeps what the top says, and of whom."""

    def arrive(self, signals: Any, words: Any) -> None:
        if signals.layer == signals.num_layers:
            self.logits, self.known, self.target = signals.logits, signals.known, signals.target

    def leave(self, halted: Any, staying: Any) -> None:
        pass


def alone(model: Any, batch: Any, part: SubNetwork) -> tuple[Top, list[Any]]:
    top, states = Top(), list[Any]()
    assert part.widths is not None
    small = sliced(model.backbone, part.widths, learn=True)
    encode(small, model.heads, batch, top, without=part.without, states=states)
    return top, states


def test_the_loss_is_that_of_each_part_run_alone(toy, gradients, agree):
    """Half the labels, the teacher's answers, and its states where layers are entered and left."""
    model = toy.build(sharp=4.0, double=True, layers=4).eval()
    teacher = toy.build(seed=1, sharp=4.0, double=True, layers=4).eval()
    sentences = toy.sentences(model, 5, unlabelled=0.3)
    objective = SubNetworks((1, 0.5), (1, 0.5), soft=1.0, hard=0.5, states=0.1)
    module = EncoderLossModule(model, objective).eval()
    taught = EncoderLossModule(teacher, from_config("single")).eval()
    module.beside = Beside(taught, {}, sentences)
    words = sum(labelled_words(sentence) for sentence in sentences)
    found = module(MicroBatch(sentences, [*range(5)], words), 0, 0.0, 0).total

    batch = pack(sentences)
    wanted, their = alone(teacher, batch, SubNetwork(widths=Widths()))
    answers = wanted.logits.detach().log_softmax(-1)[wanted.known]
    labelled = torch.tensor(
        [labelled_words(sentences[i]) / sentences[i].length for i in batch.order]
    )[torch.from_numpy(batch.row_sequence)]
    loss = torch.zeros((), dtype=torch.double)
    for part in objective.parts(4):
        top, states = alone(model, batch, part)
        told = top.logits.log_softmax(-1)[top.known]
        loss = loss + (answers.exp() * (answers - told)).sum()
        loss = loss + 0.5 * F.nll_loss(told, top.target[top.known], reduction="sum")
        for place in (0, 1, 2, 3) if not part.without else (1, 3):
            gap = (states[place] - their[place].detach()).square().mean(-1)
            loss = loss + 0.1 * (gap * labelled).sum()
    assert_close(found.double(), loss, rtol=1e-6, atol=1e-6)
    agree(gradients(model, found), gradients(model, loss))
