"""Weights inside the softmax, and reducers as weights."""

from __future__ import annotations

import math

import pytest
import torch

from tokenexit import reducers
from tokenexit.errors import UserError
from tokenexit.halting.weighted import weighted_softmax
from tokenexit.reducers import Kept, Rows, Softened


def test_three_keys_of_which_one_is_taken_out():
    """Masking after the softmax, as Transkimmer's released code does, gives .935, not 1.238."""
    scores = torch.tensor([0.0, 0.0, math.log(0.648)], dtype=torch.float64)
    values = torch.tensor([2.0, 0.476, -1.0], dtype=torch.float64)
    weights = torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64, requires_grad=True)
    read = weighted_softmax(scores, weights) @ values
    removed = scores[:2].softmax(-1) @ values[:2]
    assert read.item() == pytest.approx(removed.item(), abs=1e-15)
    assert read.item() == pytest.approx(1.238)
    after = (scores.softmax(-1) * weights) @ values
    assert after.item() == pytest.approx(0.935, abs=5e-4)
    (slope,) = torch.autograd.grad(read, weights)
    assert slope.isfinite().all()
    # By hand: d read / d w_3 = p (v_3 - read), p what the third key would add to the others.
    wanted = (scores[2].exp() / scores[:2].exp().sum()) * (values[2] - removed)
    assert float(slope[2]) == pytest.approx(float(wanted))


def test_weights_between_are_log_weights_in_the_scores():
    scores, weights = torch.randn(3, 2, 5), torch.rand(5)
    wanted = (scores + weights.log()).softmax(-1)
    torch.testing.assert_close(weighted_softmax(scores, weights), wanted)


def test_gradients_are_finite_however_large_the_score_of_a_key_without_weight():
    scores = torch.tensor([[0.0, 300.0, 1.0]], requires_grad=True)
    weights = torch.tensor([1.0, 0.0, 1.0], requires_grad=True)
    shares = weighted_softmax(scores, weights)
    shares[0, 0].backward()
    assert torch.equal(shares[0, 1].detach(), torch.tensor(0.0))
    assert weights.grad is not None
    assert scores.grad is not None
    assert weights.grad.isfinite().all()
    assert scores.grad.isfinite().all()


def judged(score: list[float], **more: object) -> Rows:
    place = torch.arange(len(score))
    return Rows(
        layer=1, num_layers=2, text=torch.zeros_like(place), lengths=torch.tensor([len(score)]),
        position=place, item_id=place, pinned=place == 0, hidden=torch.zeros(len(score), 1),
        score=torch.tensor(score, requires_grad=True), **more,
    )  # fmt: skip


@pytest.mark.parametrize("threshold", [0.5, 0.9])
def test_straight_weights_are_what_the_reducer_keeps(threshold):
    reducer = reducers.Scored(threshold)
    rows, before = judged([3.0, 1.0, -2.0, 0.1]), torch.tensor([1.0, 1.0, 1.0, 0.0])
    keep, _ = reducer.keep(rows, None)
    weights, _ = Softened(reducer, "straight").weigh(rows, before, None)
    assert weights.tolist() == (keep.float() * before).tolist()
    soft, _ = Softened(reducer, "soft").weigh(rows, before, None)
    slopes = [torch.autograd.grad(w.sum(), rows.score)[0] for w in (weights, soft)]
    assert torch.equal(slopes[0], slopes[1])
    assert slopes[0][:3].all()
    assert Kept(reducer).weigh(rows, before, None)[0].tolist() == weights.tolist()


def test_draws_come_as_often_as_they_are_likely():
    chance, torch_state = 0.8, torch.Generator().manual_seed(0)
    rows = judged([float(torch.tensor(chance).logit())] * 4000)
    drawn = torch.rand(4000, generator=torch_state)
    sampled = Softened(reducers.Scored(), "sampled", uniform=lambda rows: drawn)
    weights, _ = sampled.weigh(rows, torch.ones(4000), None)
    assert set(weights.tolist()) == {0.0, 1.0}
    assert weights.mean().item() == pytest.approx(chance, abs=0.02)


def test_who_has_nothing_that_could_learn_is_told():
    rows, one = judged([0.0]), torch.ones(1)
    for reducer in (reducers.Significance(), reducers.Scored(rule="share")):
        with pytest.raises(UserError, match="no log_odds"):
            Softened(reducer, "soft").weigh(rows, one, None)
    with pytest.raises(UserError, match="Did you mean 'soft'"):
        Softened(reducers.Scored(), "softt")
