"""Numbers of texts: floors, ends, and what is true of every loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenexit.errors import UserError
from tokenexit.guarantees import FixedSequence, Guarantee, Terms
from tokenexit.guarantees.bounds.betting import log_wealth, stakes
from tokenexit.guarantees.losses import LOSSES, Loss

NAMES = [name for name, _ in LOSSES.items()]
WRITTEN = [name for name in NAMES if "said" in LOSSES.get(name).needs]


def columns(seed: int, texts: int = 40, like: dict[str, Any] | None = None) -> dict[str, Any]:
    """What might be counted of some texts; of the same gold answers as ``like``."""
    rng = np.random.default_rng(seed)
    rows = like["rows"] if like else rng.integers(1, 30, texts).astype(float)
    gold = like["gold"] if like else np.floor(rng.random(texts) * (rows / 3 + 1))
    found = np.maximum(gold + rng.integers(-1, 2, texts), 0)
    words = ["the", "cat", "sat", "on", "a", "mat"]
    said = [" ".join(rng.choice(words, 5)) for _ in range(texts)]
    return {
        "rows": rows,
        "changed": np.floor(rng.random(texts) * (rows + 1)) * (rng.random(texts) < 0.3),
        "right": (rng.random(texts) < 0.8).astype(float), "exact": (rng.random(texts) < 0.5) * 1.0,
        "gold": gold, "f1_under": found + gold,
        "f1_over": 2 * np.floor(rng.random(texts) * (np.minimum(gold, found) + 1)),
        "error": rng.exponential(1.0, texts), "most": np.full(texts, 2.0),
        "brier": 2 * rng.random(texts), "layers": rows * rng.integers(1, 7, texts),
        "deep": rows * 6, "said": said,
        "references": like["references"] if like else [[f"{text} mat"] for text in said],
    }  # fmt: skip


def number_for(loss: Loss) -> float:
    return 1.5 if loss.name == "layers saved" else 0.97 if loss.at_least else 0.05


@pytest.mark.parametrize("name", NAMES)
def test_no_text_lies_below_the_floor(name):
    loss = LOSSES.get(name)()
    if name.startswith("rouge"):
        pytest.importorskip("rouge_score")
    for seed in range(20):
        full = columns(seed)
        exits = columns(seed + 1000, like=full)
        terms = loss.terms(exits, full, number_for(loss)).settled()
        assert (np.minimum(terms.low, terms.high) >= np.asarray(terms.floor) - 1e-9).all()
        assert np.max(terms.floor) < 0


@pytest.mark.parametrize("name", NAMES)
def test_a_text_that_nothing_changes_speaks_for_the_promise(name):
    if name.startswith("rouge"):
        pytest.importorskip("rouge_score")
    loss, full = LOSSES.get(name)(), columns(3)
    same = {**full, "changed": np.zeros(40)}
    terms = loss.terms(same, full, number_for(loss))
    if name == "layers saved":
        deep = {**full, "layers": full["deep"]}
        assert (loss.terms(deep, deep, 1.5).low < 0).all()
        return
    assert (terms.low >= 0).all()
    assert (terms.high >= 0).all()
    assert terms.low.max() > 0
    kept = loss.measured(same, full)
    assert kept == pytest.approx(1.0 if loss.at_least else 0.0)


@pytest.mark.parametrize("name", [n for n in NAMES if "f1" in n and n not in WRITTEN])
def test_the_mean_at_full_depths_own_quality_is_the_promise(name):
    # Unclipped, at F = F of full depth: the promise holds exactly where the mean is not below 0.
    loss, full = LOSSES.get(name)(), columns(5)
    right, both = full["f1_over"], full["f1_under"]
    own = right.sum() / both.sum()
    for seed in range(30):
        exits = columns(seed + 50, like=full)
        found = loss.measured(exits, full)
        for asked in (found - 0.01, found + 0.01):
            terms = loss.terms(exits, full, asked)
            there = exits["f1_over"], exits["f1_under"]
            z0 = there[0] - asked * right if name == "f1 kept" else (
                there[0] - right + asked * there[1]
            )  # fmt: skip
            slope = (asked if name == "f1 kept" else 1.0) * (both - there[1])
            holds = found >= asked if loss.at_least else found <= asked
            assert ((z0 + own * slope).sum() >= 0) == holds
            assert (terms.low >= z0 - 1e-9).all()
            assert (terms.high >= z0 + slope - 1e-9).all()


def test_the_docstrings_example():
    full, exits = {"f1_over": [6], "f1_under": [8]}, {"f1_over": [4], "f1_under": [7]}
    terms = LOSSES.get("f1 kept")().terms(exits, full, 0.9)
    assert (terms.low[0], terms.high[0]) == pytest.approx((-1.4, -0.5))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), most=st.sampled_from([1.0, 2.0, 4.0]))
def test_wealth_is_least_at_an_end(seed, most):
    rng = np.random.default_rng(seed)
    low = rng.normal(0.2, 2.0, 200)
    terms = Terms.counted(low, low + rng.normal(0.0, 3.0, 200), most)
    at_ends = log_wealth(terms, 0.1)[-1]
    staked = stakes(terms, 0.1, 200)
    between = [
        np.log1p(staked * ((1 - f) * terms.low + f * terms.high)).sum()
        for f in np.linspace(0, 1, 101)
    ]
    assert at_ends == pytest.approx(min(between))


def test_documents_count_once():
    terms = Terms.lost(np.array([0.0, 1.0, 0.0, 0.0]), 0.1, "binary")
    pooled = terms.pooled(np.array([0, 0, 1, 1]))
    assert pooled.loss.tolist() == pytest.approx([0.5, 0.0])
    assert (pooled.kind, len(pooled)) == ("share", 2)


def test_a_loss_that_lies_about_its_floor_is_refused(monkeypatch):
    class Mine(LOSSES.get("differs")):  # type: ignore[misc]
        def terms(self, exits, full, allowed):
            return Terms(np.array([-3.0]), np.array([-3.0]), -0.95)

    monkeypatch.setitem(LOSSES._members, "mine", Mine)
    full = {"changed": np.zeros(1)}
    sequence = FixedSequence([Guarantee("mine", 0.05)], full, np.array([0]))
    with pytest.raises(UserError, match="below its floor"):
        sequence.test(full)


def test_what_is_not_finite_is_refused():
    full = {"brier": np.array([0.1, np.nan]), "rows": np.ones(2)}
    sequence = FixedSequence([Guarantee("brier loss", 0.05)], full, np.arange(2))
    with pytest.raises(UserError, match="not finite"):
        sequence.test(full)
