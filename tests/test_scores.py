"""Scores against float64 arithmetic, and where floating point is at its worst."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tokenexit import scores

UNIT = [scores.entropy, scores.max_prob, scores.margin]

logits_lists = st.integers(1, 6).flatmap(
    lambda classes: st.lists(
        st.lists(
            st.floats(-1e4, 1e4, width=32, allow_subnormal=False),
            min_size=classes,
            max_size=classes,
        ),
        min_size=1,
        max_size=5,
    )
)


def probabilities(row: list[float]) -> list[float]:
    top = max(row)
    weights = [math.exp(value - top) for value in row]
    return [weight / math.fsum(weights) for weight in weights]


def entropy(row: list[float]) -> float:
    if len(row) == 1:
        return 0.0
    return -math.fsum(p * math.log(p) for p in probabilities(row) if p) / math.log(len(row))


def margin(row: list[float]) -> float:
    best = sorted(probabilities(row), reverse=True)
    return best[0] - (best[1] if len(best) > 1 else 0.0)


def energy(row: list[float]) -> float:
    top = max(row)
    return -top - math.log(math.fsum(math.exp(value - top) for value in row))


def divergence(first: list[float], second: list[float]) -> float:
    pairs = list(zip(probabilities(first), probabilities(second), strict=True))
    towards = math.fsum(p * math.log(2 * p / (p + q)) for p, q in pairs if p)
    away = math.fsum(q * math.log(2 * q / (p + q)) for p, q in pairs if q)
    return (towards + away) / 2 / math.log(2)


def near(values: list[float]) -> Any:
    return pytest.approx(values, rel=1e-4, abs=2e-6)


@settings(max_examples=80, deadline=None)
@given(rows=logits_lists)
def test_scores_agree_with_float64(rows):
    logits = torch.tensor(rows, dtype=torch.float32)
    assert scores.entropy(logits).tolist() == near([entropy(row) for row in rows])
    assert scores.max_prob(logits).tolist() == near([max(probabilities(row)) for row in rows])
    assert scores.margin(logits).tolist() == near([margin(row) for row in rows])
    assert scores.energy(logits).tolist() == near([energy(row) for row in rows])
    log_p = scores.log_probabilities(logits)
    found = scores.divergence(log_p, log_p[:1].expand_as(log_p)).tolist()
    assert found == near([divergence(row, rows[0]) for row in rows])


@settings(max_examples=80, deadline=None)
@given(rows=logits_lists)
def test_scores_stay_within_their_bounds(rows):
    logits = torch.tensor(rows, dtype=torch.float32)
    for score in UNIT:
        found = score(logits)
        assert found.dtype == torch.float32
        assert (found >= 0).all()
        assert (found <= 1 + 1e-6).all()
    assert (scores.max_prob(logits) <= 1).all()
    assert (scores.margin(logits) <= 1).all()
    assert (scores.margin(logits) <= scores.max_prob(logits)).all()
    assert (scores.max_prob(logits) >= (1 - 1e-6) / logits.shape[-1]).all()
    log_p = scores.log_probabilities(logits)
    mirrored = scores.divergence(log_p, log_p.flip(0))
    assert ((mirrored >= 0) & (mirrored <= 1)).all()
    assert torch.equal(mirrored, scores.divergence(log_p.flip(0), log_p))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_huge_logits_give_no_nan(dtype):
    rows = [[6e4, -6e4, 0.0], [6e4, 6e4, 6e4], [-6e4, -6e4, -6e4], [0.0, 0.0, 6e4]]
    logits = torch.tensor(rows, dtype=dtype)
    log_p = scores.log_probabilities(logits)
    assert scores.entropy(logits).tolist() == pytest.approx([0, 1, 1, 0], abs=1e-6)
    assert scores.max_prob(logits).tolist() == pytest.approx([1, 1 / 3, 1 / 3, 1])
    assert scores.margin(logits).tolist() == pytest.approx([1, 0, 0, 1])
    assert scores.energy(logits).isfinite().all()
    assert scores.divergence(log_p, log_p).tolist() == pytest.approx([0] * 4, abs=1e-6)
    assert scores.divergence(log_p[0], log_p[3]).item() == pytest.approx(1)
    assert all(score(logits).dtype == torch.float32 for score in (*UNIT, scores.energy))


def test_large_logits_keep_their_digits():
    """At 10,000 a float32 logsumexp is off by up to 0.0005, and so would be the logarithm."""
    logits = torch.tensor([[1e4, 1e4 - 1.0], [1e4, 1e4]])
    assert scores.max_prob(logits).tolist() == pytest.approx([1 / (1 + math.exp(-1)), 0.5], 1e-6)
    assert scores.margin(logits).tolist() == pytest.approx([math.tanh(0.5), 0.0], 1e-6)


def test_one_class_is_certain():
    logits = torch.tensor([[3.0], [-1e4]])
    assert scores.entropy(logits).tolist() == [0, 0]
    assert scores.max_prob(logits).tolist() == [1, 1]
    assert scores.margin(logits).tolist() == [1, 1]
    assert scores.predicted(logits).tolist() == [0, 0]
    log_p = scores.log_probabilities(logits)
    assert scores.divergence(log_p, log_p).tolist() == [0, 0]


@pytest.mark.parametrize("score", [*UNIT, scores.energy, scores.predicted])
def test_no_rows(score):
    assert score(torch.zeros(0, 3)).shape == (0,)


def test_forbidden_classes_have_no_probability():
    """Minus infinity masks a class, for instance in constrained decoding."""
    logits = torch.tensor([[0.0, 0.0, -math.inf], [0.0, -math.inf, -math.inf]])
    assert scores.entropy(logits).tolist() == pytest.approx([math.log(2) / math.log(3), 0])
    assert scores.max_prob(logits).tolist() == pytest.approx([0.5, 1])
    assert scores.margin(logits).tolist() == pytest.approx([0, 1])
    log_p = scores.log_probabilities(logits)
    # mean (3/4, 1/4): (ln(2/3)/2 + ln(2)/2 + ln(4/3)) / 2 / ln 2
    assert scores.divergence(log_p[0], log_p[1]).item() == pytest.approx(0.311278, abs=1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_broken_rows_satisfy_nothing(bad):
    logits = torch.tensor([[bad, bad, 0.0], [3.0, 0.0, 0.0]])
    log_p = scores.log_probabilities(logits)
    found: list[Tensor] = [score(logits) for score in UNIT]
    found += [scores.divergence(log_p, log_p), scores.divergence(log_p, log_p[1:])]
    for values in found:
        assert values.isnan().tolist() == [True, False]


def test_predicted_marks_broken_rows():
    logits = torch.tensor([[0.0, 1.0, 0.0], [math.nan, 9.0, 0.0], [-math.inf, 0.0, 1.0]])
    assert scores.predicted(logits).tolist() == [1, -1, 2]
    assert scores.predicted(logits.half()).tolist() == [1, -1, 2]


def test_scores_by_hand():
    logits = torch.tensor([[math.log(9.0), 0.0]])  # probabilities 0.9 and 0.1
    assert scores.entropy(logits).item() == pytest.approx(0.468996, abs=1e-5)
    assert scores.max_prob(logits).item() == pytest.approx(0.9)
    assert scores.margin(logits).item() == pytest.approx(0.8)
    assert scores.energy(logits).item() == pytest.approx(-math.log(10))
