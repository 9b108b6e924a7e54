"""Gradients of the exits never pull against those of the guide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor

from tokenexit.errors import UserError
from tokenexit.objectives import from_config
from tokenexit.training.batches import MicroBatch, labelled_words
from tokenexit.training.encoder_loss import EncoderLossModule
from tokenexit.training.loss_module import Losses
from tokenexit.training.projection import (
    Projection,
    matrices_below_the_last,
    without_conflict,
)

GUIDED: list[dict[str, Any]] = [
    {"name": "gradient_projection"},
    {"name": "mutual_distillation", "mode": "aligned"},
]
guided = pytest.mark.parametrize("objective", GUIDED, ids=lambda one: one["name"])


@pytest.fixture
def accelerator():
    """One process; what the tests before set up is not its business."""
    AcceleratorState._reset_state(True)
    yield Accelerator(cpu=True)
    AcceleratorState._reset_state(True)


def test_by_hand():
    guide = [torch.tensor([1.0, 0.0]), torch.tensor([[2.0, 0.0]]), torch.zeros(2)]
    rest = [torch.tensor([-3.0, 4.0]), torch.tensor([[1.0, 5.0]]), torch.tensor([1.0, -1.0])]
    first, second, third = without_conflict(guide, rest)
    assert first.tolist() == [1.0, 4.0]  # what opposes the guide is gone, what is across stays
    assert second.tolist() == [[3.0, 5.0]]  # no conflict: the plain sum
    assert third.tolist() == [1.0, -1.0]  # no guide, nothing to oppose


def test_compared_as_one_by_hand():
    guide = [torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]]), torch.tensor([1.0])]
    rest = [torch.tensor([[-7.0, 4.0]]), torch.tensor([[3.0, 1.0]]), torch.tensor([-3.0])]
    # Along the guide -7 + 2, its square 5: minus one guide of the rest, which the second pays for.
    one, other, apart = without_conflict(guide, rest, [True, True, False])
    assert one.tolist() == [[-5.0, 4.0]]
    assert other.tolist() == [[3.0, 5.0]]
    assert apart.tolist() == [-2.0]  # not compared


def test_what_is_compared_as_one_and_who_leads(toy):
    model = toy.build(double=True)
    names = {id(weight): name for name, weight in model.named_parameters()}
    found = [names[id(weight)] for weight in matrices_below_the_last(model)]
    assert len(found) == 12  # six matrices a layer
    assert not [name for name in found if "layer.2." in name or "bias" in name]
    sentences = toy.sentences(model, 4)
    (part,) = parts_of(sentences, 1)
    top, exits = (
        EncoderLossModule(model, from_config({"name": "gradient_projection", "leads": leads}))(
            part, 0, 0.0, 0
        )
        for leads in ("top", "exits")
    )
    torch.testing.assert_close(top.guide + exits.guide, top.total)
    with pytest.raises(UserError, match="Did you mean 'exits'"):
        from_config({"name": "gradient_projection", "leads": "exit"})


def parts_of(sentences: list[Any], count: int) -> list[MicroBatch]:
    made = []
    for number in range(count):
        mine = sentences[number::count]
        words = sum(labelled_words(sentence) for sentence in mine)
        made.append(MicroBatch(mine, list(range(number, len(sentences), count)), words))
    return made


def gradients_of(loss: Tensor, weights: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
    found = torch.autograd.grad(loss, list(weights.values()), retain_graph=True, allow_unused=True)
    return dict(zip(weights, found, strict=True))


@guided
def test_nothing_of_the_rest_opposes_the_guide(objective, toy, accelerator, plain_logits):
    model = toy.build(sharp=4.0, double=True, gate=True).train()
    sentences = toy.sentences(model, 6, unlabelled=0.3)
    if objective["name"] == "mutual_distillation":
        # Exits of one mind, most of them right: to learn from others is to become less sure.
        with torch.no_grad():
            for layer in (1, 2):
                model.heads.at(layer).project.weight.copy_(model.backbone.final_head().weight)
        said = plain_logits(model, sentences)
        best = iter((said[1] + said[2] + said[3]).argmax(-1).tolist())
        sentences = [replace(s, targets=[next(best) for _ in s.word_rows]) for s in sentences]
    room = EncoderLossModule(model, from_config(objective))
    weights = dict(room.named_parameters())
    (part,) = parts_of(sentences, 1)
    losses = room(part, 0, 0.0, 0)
    guide = gradients_of(losses.guide, weights)
    rest = gradients_of(losses.total - losses.guide, weights)
    projection = Projection(room, accelerator)
    projection.add(losses, 0.5)
    projection.finish()
    opposed = agreed = 0
    for name, weight in weights.items():
        lead, other, got = guide[name], rest[name], weight.grad
        if lead is None or other is None:
            alone = other if lead is None else lead
            assert (got is None) == (alone is None)
            if alone is not None and got is not None:
                torch.testing.assert_close(got, alone / 2, rtol=1e-5, atol=1e-8)
            continue
        assert got is not None
        along = float((lead * other).sum())
        if along < -1e-6:  # without projection they would pull against each other
            opposed += 1
            left = got - lead / 2
            assert float((left * lead).sum().abs()) < 1e-5 * float(lead.norm() * other.norm())
            torch.testing.assert_close(
                got, (lead + other - along / lead.square().sum() * lead) / 2, rtol=1e-4, atol=1e-6
            )
        elif along > 1e-6:
            agreed += 1
            torch.testing.assert_close(got, (lead + other) / 2, rtol=1e-5, atol=1e-7)
        assert float((got * lead).sum()) > -1e-6
    assert opposed > 2
    assert agreed > 2
    if objective["name"] == "gradient_projection":
        # The guide is the top's loss: it reaches the network and the top, and no exit.
        assert guide["model.heads.exits.1.project.weight"] is None
        assert guide["model.network.classifier.weight"] is not None
    assert weights["model.heads.gate.project.weight"].grad is not None


@guided
def test_micro_batches_are_as_one(objective, toy, accelerator):
    model = toy.build(sharp=4.0, double=True).train()
    sentences = toy.sentences(model, 6)
    room = EncoderLossModule(model, from_config(objective))
    found = []
    for count in (1, 3):
        projection = Projection(room, accelerator)
        for part in parts_of(sentences, count):
            projection.add(room(part, 0, 0.0, 0), 1.0)
        projection.finish()
        grads = {n: w.grad for n, w in room.named_parameters() if w.grad is not None}
        found.append({name: gradient.clone() for name, gradient in grads.items()})
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name], rtol=1e-4, atol=1e-5)


def test_what_no_loss_reaches_has_no_gradient(accelerator):
    """A gradient of zero would still move it, by decay and by momentum."""
    module = torch.nn.ParameterDict({n: torch.nn.Parameter(torch.ones(2)) for n in "abc"})
    projection = Projection(module, accelerator)
    lead, other = module["a"].sum(), module["b"].sum() * 0
    projection.add(Losses(lead + other, guide=lead), 1.0)
    projection.finish()
    assert module["a"].grad is not None
    assert module["a"].grad.tolist() == [1.0, 1.0]
    assert module["b"].grad is not None  # reached, if by nothing
    assert module["c"].grad is None


def test_half_precision_is_refused(toy):
    accelerator: Any = SimpleNamespace(mixed_precision="fp16", device="cpu")
    with pytest.raises(UserError, match="projects gradients"):
        Projection(toy.build(), accelerator)


@guided
def test_training_steps_with_what_is_left(objective, toy, tmp_path, monkeypatch):
    """The loop hands the optimiser the projected gradients of all micro-batches, clipped."""
    model = toy.build(sharp=4.0, double=True)
    sentences = toy.sentences(model, 7)
    room = EncoderLossModule(toy.build(sharp=4.0, double=True).train(), from_config(objective))
    (part,) = parts_of(sentences, 1)
    AcceleratorState._reset_state(True)
    projection = Projection(room, Accelerator(cpu=True))
    projection.add(room(part, 0, 0.0, 0), 1 / part.words)
    projection.finish()
    wanted = {n: w.grad for n, w in room.model.named_parameters()}
    size = torch.stack([g.norm() for g in wanted.values() if g is not None]).norm()
    taken: dict[str, Tensor | None] = {}
    step = torch.optim.AdamW.step

    def spy(self, *args):
        taken.update({n: None if w.grad is None else w.grad.clone() for n, w in named})
        return step(self, *args)

    named = list(model.named_parameters())
    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    given = {"max_steps": 1, "batch_size": 7, "accumulation": 2, "clip": 0.5}
    toy.fit(model, sentences, tmp_path, objective=objective, **given)
    for name, gradient in wanted.items():
        got = taken[name]
        assert (got is None) == (gradient is None), name
        if got is not None and gradient is not None:
            torch.testing.assert_close(got, 0.5 * gradient / size, rtol=1e-4, atol=1e-6)
