"""Bounds: against scipy, by hand, and how often a broken promise passes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from tokenexit.errors import UserError
from tokenexit.guarantees import Terms
from tokenexit.guarantees.bounds import BOUNDS, bound_for
from tokenexit.guarantees.bounds.betting import Betting, log_wealth
from tokenexit.guarantees.bounds.binomial import Binomial, binomial_bound
from tokenexit.guarantees.bounds.hoeffding_bentkus import HoeffdingBentkus

DELTA, DRAWS = 0.1, 1000
MOST = DELTA + 3 * math.sqrt(DELTA * (1 - DELTA) / DRAWS)


def lost(count: int, texts: int) -> np.ndarray:
    return (np.arange(texts) < count).astype(float)


def test_the_binomial_is_that_of_scipy():
    for count, texts, allowed in ((0, 45, 0.05), (3, 100, 0.1), (40, 300, 0.2)):
        terms = Terms.lost(lost(count, texts), allowed, "binary")
        p = binomtest(count, texts, allowed, alternative="less").pvalue
        assert Binomial().evidence(terms, 0.1) == pytest.approx(-math.log(p))
    high = binomtest(3, 100).proportion_ci(confidence_level=0.8, method="exact").high
    assert binomial_bound(3, 100, 0.1) == pytest.approx(high)


def test_hoeffding_bentkus_is_the_published_one():
    loss, allowed, count = np.array([0.25, 0.0, 0.5, 0.0] * 50), 0.3, 200
    mean = loss.mean()
    tail = math.e * binom.cdf(math.ceil(count * mean), count, allowed)
    parting = mean * math.log(mean / allowed) + (1 - mean) * math.log((1 - mean) / (1 - allowed))
    terms = Terms.lost(loss, allowed, "share")
    assert HoeffdingBentkus().evidence(terms, 0.1) == pytest.approx(
        -math.log(min(math.exp(-count * parting), tail))
    )
    assert HoeffdingBentkus().needed(Terms.lost(np.zeros(7), 0.05, "binary"), 0.1) == 45
    # CALM's risk counts gains as well; here they are no losses, and help nothing.
    gains = Terms.lost(np.where(loss > 0, loss, -1.0), allowed, "signed")
    assert HoeffdingBentkus().evidence(gains, 0.1) == HoeffdingBentkus().evidence(terms, 0.1)


def test_hoeffding_bentkus_lets_a_broken_promise_pass_seldom():
    rng, passed = np.random.default_rng(0), 0
    for _ in range(DRAWS):
        terms = Terms.lost((rng.random(150) < 0.1).astype(float), 0.1, "share")
        passed += HoeffdingBentkus().passes(terms, DELTA)
    assert 0 < passed <= MOST * DRAWS


def test_a_bound_that_is_named_judges_or_refuses():
    share = Terms.lost(np.zeros(5), 0.1, "share")
    assert isinstance(bound_for(share, name="hoeffding-bentkus"), HoeffdingBentkus)
    assert isinstance(bound_for(share), Betting)
    ratio = Terms(np.zeros(5), np.ones(5), -2.0)
    with pytest.raises(UserError, match=r"hoeffding-bentkus says nothing .* these do: betting"):
        bound_for(ratio, name="hoeffding-bentkus")
    with pytest.raises(UserError, match="these do: betting"):
        bound_for(share, resumed=True, name="hoeffding-bentkus")


def test_texts_needed():
    unharmed = Terms.lost(np.zeros(7), 0.05, "binary")
    assert Binomial().needed(unharmed, 0.1) == 45
    assert Binomial().needed(Terms.lost(np.zeros(7), 0.01, "binary"), 0.1) == 230
    assert Betting().needed(Terms.lost(np.zeros(7), 0.1, "binary"), 0.1) <= 26
    # ln(1 / delta) / ln(1 + 0.95 (1 - q) a / M) with a = 1.57 of each text, all stakes the boldest;
    # the first ones are smaller
    kept = np.full(9, 0.01 * 1.57)
    for most, boldest in ((2.0, 310), (4.0, 619)):
        count = Betting().needed(Terms.counted(kept, kept, most), 0.1)
        assert boldest <= count <= 1.03 * boldest
    assert Betting().needed(Terms.counted(0 * kept, 0 * kept, 2.0), 0.1) is None


@pytest.mark.parametrize("kind", ["binary", "share", "signed"])
def test_needed_is_enough_and_one_fewer_is_not(kind):
    unharmed = Terms.lost(np.zeros(5), 0.03, kind)
    bound = bound_for(unharmed)
    count = bound.needed(unharmed, 0.05)
    fewer, enough = (unharmed.take(np.zeros(n, dtype=int)) for n in (count - 1, count))
    assert bound.passes(enough, 0.05)
    assert not bound.passes(fewer, 0.05)


def test_which_bound():
    assert isinstance(bound_for(Terms.lost(np.zeros(2), 0.1, "binary")), Binomial)
    assert isinstance(bound_for(Terms.lost(np.zeros(2), 0.1, "share")), Betting)
    assert isinstance(bound_for(Terms.lost(np.zeros(2), 0.1, "binary"), resumed=True), Betting)
    places = [bound.place for _, bound in BOUNDS.items()]
    assert len(set(places)) == len(places)


def test_stakes_do_not_look_ahead():
    rng = np.random.default_rng(0)
    z = rng.normal(0.1, 0.5, 100)
    other = np.concatenate([z[:60], rng.normal(-1, 1, 40)])
    one, two = (log_wealth(Terms.counted(x, x, 2.0), 0.1) for x in (z, other))
    np.testing.assert_array_equal(one[:60], two[:60])


def broken_share(draw, allowed: float, kind: str, texts: int) -> float:
    """Share of draws that pass although the promise is just broken."""
    rng, passed = np.random.default_rng(7), 0
    for _ in range(DRAWS):
        terms = Terms.lost(draw(rng, texts), allowed, kind)
        passed += bound_for(terms).passes(terms, DELTA)
    return passed / DRAWS


@pytest.mark.parametrize("texts", [30, 300])
@pytest.mark.parametrize(
    ("kind", "allowed", "draw"),
    [
        ("binary", 0.05, lambda rng, n: (rng.random(n) < 0.05) * 1.0),
        ("share", 0.1, lambda rng, n: rng.beta(0.2, 1.8, n)),  # mean 0.1
        ("signed", 0.05, lambda rng, n: rng.choice([1.0, 0.0, -1.0], n, p=[0.1, 0.85, 0.05])),
    ],
)
def test_a_promise_on_the_edge_passes_seldom(kind, allowed, draw, texts):
    assert broken_share(draw, allowed, kind, texts) <= MOST


def test_words_as_texts_would_break_it():
    # The control: 30 words of a text change together, and each is taken for a text of its own.
    def words(rng, n):
        return np.repeat((rng.random(n // 30) < 0.05) * 1.0, 30)

    assert broken_share(words, 0.05, "binary", 3000) > 2 * MOST


def test_looking_again_and_again_is_free_by_betting_alone():
    rng, found = np.random.default_rng(1), {"betting": 0, "exact binomial": 0}
    for _ in range(300):
        loss = (rng.random(2000) < 0.05) * 1.0
        for name in found:
            bound = BOUNDS.get(name)()
            looks = (Terms.lost(loss[:n], 0.05, "binary") for n in range(100, 2001, 100))
            found[name] += any(bound.passes(terms, DELTA, 2000) for terms in looks)
    assert found["betting"] / 300 <= DELTA + 3 * math.sqrt(0.09 / 300)
    assert found["exact binomial"] / 300 > 0.2


def test_a_promise_that_holds_easily_passes_mostly():
    rng = np.random.default_rng(3)
    passed = sum(
        Betting().passes(Terms.lost((rng.random(1000) < 0.02) * 1.0, 0.05, "binary"), DELTA)
        for _ in range(200)
    )
    assert passed > 190


@pytest.mark.parametrize("kind", ["signed", "share"])
def test_many_draws_at_once_are_as_one_by_one(kind):
    rng = np.random.default_rng(5)
    loss = rng.beta(0.3, 4.0, (3, 50))
    if kind == "share":
        many = Terms.lost(loss, 0.1, "share")
    else:
        many = Terms.counted(0.1 - loss, 0.12 - loss, 0.5)
    each = [
        log_wealth(Terms(low, low if kind == "share" else high, many.floor, many.kind), 0.1)
        for low, high in zip(many.low, many.high, strict=True)
    ]
    np.testing.assert_allclose(log_wealth(many, 0.1), each)
