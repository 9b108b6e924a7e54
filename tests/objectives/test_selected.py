"""EBERT: what selectors pay, learn and choose."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tokenexit.errors import UserError
from tokenexit.halting import encode, pack
from tokenexit.objectives import BatchInfo, from_config
from tokenexit.objectives.selected import Chosen, Selected
from tokenexit.selectors import Asked
from tokenexit.testing import check_objective
from tokenexit.training.batches import labelled_words


def info(sentence=(0, 1)):
    return BatchInfo(3, 0.0, 7, (2,), 2, torch.tensor(sentence))


def asked(part, odds, macs, layer=1, text=(0, 1)):
    odds, macs = torch.tensor(odds), torch.tensor(macs)
    return Asked(layer, part, odds.requires_grad_(True), np.array(text), macs)


def test_the_penalty_by_hand():
    """Heads left out: 1/2 of the first text, 0; neurons: 3/4 and 1/2. A half is aimed at."""
    chosen = Chosen(Selected(0.5, price=4.0, parts=5.0, mode="straight"), info())
    heads = asked("heads", [[1.0, -1.0], [2.0, 1.0]], [10.0, 30.0])
    kept = chosen(heads)
    assert kept.tolist() == [[1.0, 0.0], [1.0, 1.0]]
    odds = [[-1.0, 1.0, -1.0, -1.0], [1.0, 1.0, -2.0, -1.0]]
    assert chosen(asked("neurons", odds, [20.0, 40.0])).sum(dim=-1).tolist() == [1.0, 2.0]
    saved = (10 / 2 + 20 * 3 / 4 + 40 / 2) / 100
    wanted = 4 * ((saved - 0.5) ** 2 + 5 * (1 / 4 - 0.5) ** 2 + 5 * (5 / 8 - 0.5) ** 2)
    penalty = chosen.penalty()
    assert penalty.item() == pytest.approx(wanted)
    penalty.backward()
    assert (heads.odds.grad > 0).all()  # too many heads are there: all are made less sure


def test_at_its_aim_it_costs_nothing():
    chosen = Chosen(Selected(0.5, mode="straight"), info())
    for part in ("heads", "neurons"):
        chosen(asked(part, [[1.0, -1.0], [-1.0, 1.0]], [10.0, 30.0]))
    assert chosen.penalty().item() == 0.0


def test_draws_are_of_the_text_whatever_the_batch():
    """And few odds of 0 are all kept or all left out."""
    zeros = [[0.0] * 64] * 2
    both = Chosen(Selected(), info())(asked("heads", zeros, [1.0, 1.0]))
    alone = Chosen(Selected(), info((1,)))(asked("heads", zeros[:1], [1.0], text=(0,)))
    assert torch.equal(both[1:], alone)
    assert not torch.equal(both[0], both[1])
    assert 0.25 < both.mean().item() < 0.75
    assert set(both.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"keep": 0}, "keep must be above 0"),
        ({"keep": 1.5}, "at most 1"),
        ({"tau": 0}, "tau must be above 0"),
        ({"price": -1}, "price must be 0 or more"),
        ({"price": "4"}, "price must be a number, 0 or more"),
        ({"mode": "soft"}, "sampled, straight"),
    ],
)
def test_settings_that_do_not_exist(settings, told):
    with pytest.raises(UserError, match=told):
        from_config({"name": "selected", **settings})


class Top:
    def arrive(self, signals, words):
        if signals.layer == signals.num_layers:
            self.logits, self.target = signals.logits, signals.target

    def leave(self, halted, staying):
        pass


def test_it_teaches_network_and_selectors_what_the_hard_engine_computes(toy, teach):
    model = toy.build(sharp=4.0, double=True, selectors={"inner": 4, "blocks": 4})
    sentences = toy.sentences(model, 4)
    taught = teach(model.eval(), Selected(0.5, mode="straight", price=0.0), sentences)
    assert taught.reached("selectors.selectors.heads.0.project")
    assert taught.reached("selectors.selectors.neurons.1.project")
    model.use_widths({"selected": 0.5})
    visitor = Top()
    with torch.no_grad():
        encode(model.inference_backbone, model.heads, pack(sentences), visitor)
    wanted = torch.nn.functional.cross_entropy(visitor.logits, visitor.target, reduction="sum")
    assert taught.loss.item() == pytest.approx(wanted.item(), rel=1e-6)
    dearer = teach(model, Selected(0.1, mode="straight"), sentences).loss.item()
    words = sum(labelled_words(sentence) for sentence in sentences)
    assert dearer > taught.loss.item() + 0.1 * words


def test_it_needs_selectors(toy, teach):
    with pytest.raises(UserError, match=r"heads\.selectors=true"):
        teach(toy.build(), Selected(), [])


def test_it_keeps_its_promises():
    check_objective("selected")
