"""Limits of what one text's loss counts: set by the texts before it, whatever comes after."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tokenexit.guarantees import FixedSequence, Guarantee, Terms
from tokenexit.guarantees.bounds import bound_for
from tokenexit.guarantees.bounds.betting import log_wealth
from tokenexit.guarantees.limits import FEWER, FIRST, SPANS, ByLongest, BySpare

DRAWS, DELTA = 1000, 0.1
MOST = DELTA + 3 * math.sqrt(DELTA * (1 - DELTA) / DRAWS)
"""What chance leaves of a share of ``DELTA``, three standard errors above it."""


def test_the_docstrings_example():
    limits = BySpare(np.full(500, 0.02)).before(500)
    assert limits[:FIRST].tolist() == [SPANS] * FIRST
    assert set(limits[FIRST:]) == {FEWER}
    assert set(BySpare(np.full(1000, 0.02)).before(1000)) == {SPANS}


def test_the_longest_text_so_far():
    limits = ByLongest(np.array([3.0, 30.0, 8.0, 25.0]), 20.0)
    assert limits.before(4).tolist() == [20, 20, 30, 30]
    assert limits.least == 20


@pytest.mark.parametrize("kind", [BySpare, lambda x: ByLongest(x, 20.0)])
def test_no_limit_looks_at_its_own_text_or_a_later_one(kind):
    rng = np.random.default_rng(0)
    one = rng.integers(0, 60, 100).astype(float)
    other = np.concatenate([one[:60], 1000 * rng.random(40)])
    np.testing.assert_array_equal(kind(one).before(100)[:61], kind(other).before(100)[:61])


@pytest.mark.parametrize("kind", [BySpare, lambda x: ByLongest(x, 20.0)])
def test_many_draws_at_once_are_as_one_by_one(kind):
    many = np.random.default_rng(1).random((3, 80)) * 50
    each = np.stack([kind(row).before(90) for row in many])
    np.testing.assert_array_equal(kind(many).before(90), each)
    places = np.random.default_rng(2).integers(0, 80, (4, 7))
    np.testing.assert_array_equal(
        kind(many[0]).take(places).before(7), np.stack([kind(many[0][p]).before(7) for p in places])
    )


def test_documents():
    groups = np.array([0, 1, 0, 1])
    values = np.array([1.0, 5.0, 3.0, 1.0])
    assert BySpare(values).pooled(groups).spare.tolist() == [2, 3]
    assert ByLongest(values, 2.0).pooled(groups).words.tolist() == [3, 5]


def test_both_ends_are_clipped_at_the_floor_of_their_text():
    low, high = np.full(40, -9.0), np.full(40, -3.0)
    terms = Terms.counted(low, high, BySpare(np.zeros(40)))
    assert (terms.low.min(), terms.high.min()) == (-9, -3)
    settled = terms.settled()
    assert settled.low.tolist() == [-SPANS] * FIRST + [-FEWER] * 10
    assert settled.high.tolist() == [-3] * FIRST + [-FEWER] * 10
    assert settled.counts_up_to == FEWER
    assert settled.settled() is settled
    assert (log_wealth(settled, 0.1) < 0).all()


def test_a_promise_says_up_to_what_a_text_counts():
    def clip(texts: int) -> float:
        full = {"f1_over": np.full(texts, 2.0), "f1_under": np.full(texts, 2.0)}
        asked = Guarantee.parse("f1 kept >= 0.99 with 90%")
        return FixedSequence([asked], full, np.arange(texts)).counts_up_to(asked)

    assert [clip(n) for n in (20, 300, 2000)] == [SPANS, FEWER, SPANS]


def broken(draw, texts: int) -> float:
    """Share of draws that pass; each gives what a text has to spare, and a ``z`` of no mean."""
    rng, passed = np.random.default_rng(11), 0
    for _ in range(DRAWS):
        spare, z = draw(rng, texts)
        terms = Terms.counted(z, z, BySpare(spare)).settled()
        passed += bound_for(terms).passes(terms, DELTA)
    return passed / DRAWS


def often(rng, texts):
    # What texts have to spare goes with what they lose: as limits that looked at it would fear.
    rich = rng.random(texts) < 0.1
    lost = rich & (rng.random(texts) < 0.1)
    return np.where(rich, 0.5, 0.0), np.where(lost, -1.98, np.where(rich, 0.22, 0.0))


def around(rng, texts):
    # All texts together have about what decides between the limits.
    spare = rng.exponential(14.0 / texts, texts)
    lost = rng.random(texts) < 0.02
    return spare, np.where(lost, -2.0, 2.0 * 0.02 / 0.98)


@pytest.mark.parametrize("draw", [often, around])
@pytest.mark.parametrize("texts", [100, 600])
def test_a_promise_at_its_edge_passes_seldom(draw, texts):
    assert broken(draw, texts) <= MOST


def edge(loss: str, asked: float, draw, texts: int) -> float:
    """Share of draws in which a promise is given although it does not hold of all texts."""
    rng, passed = np.random.default_rng(5), 0
    guarantee = Guarantee(loss, asked)
    for _ in range(DRAWS // 4):
        exits, full = draw(rng, texts)
        sequence = FixedSequence([guarantee], full, np.arange(texts))
        if guarantee.kind.strict_first:
            passed += sequence.test(exits)[0].passed
        else:
            passed += sequence.afterwards([exits])[0] == 1
    return passed / (DRAWS // 4)


def sentences(rng, texts, first: float, last: float):
    """Words of sentences of about 20, of which half leave at each of two layers of 12."""
    rows = np.maximum(rng.poisson(20, texts), 1).astype(float)
    early = rng.binomial(rows.astype(int), 0.5)
    layers = early * first + (rows - early) * last
    return {"rows": rows, "layers": layers, "deep": 12 * rows}


@pytest.mark.parametrize("texts", [100, 500])
def test_layers_saved_of_long_sentences(texts):
    """Half of the words leave at layer 2 and half at 10 of 12: twice fewer layers."""

    def twice(rng, count):
        return sentences(rng, count, 2, 10), sentences(rng, count, 12, 12)

    assert edge("layers saved", 2.02, twice, texts) <= MOST
    assert edge("layers saved", 1.8, twice, texts) > 0.9


def test_layers_saved_where_long_texts_save_nothing():
    def uneven(rng, count):
        long = rng.random(count) < 0.1
        rows = np.where(long, 100.0, 10.0)
        full = {"rows": rows, "deep": 12 * rows, "layers": 12 * rows}
        return {**full, "layers": np.where(long, 12, 6) * rows}, full

    assert edge("layers saved", 1.5, uneven, 500) <= MOST  # in truth 1.31


def test_an_error_that_is_larger_than_what_counts_is_measured_as_it_is():
    full = {"error": np.zeros(4), "most": np.full(4, 2.0)}
    exits = {**full, "error": np.array([0.0, 0.0, 0.0, 100.0])}
    guarantee = Guarantee("error loss", 0.6)
    [tested] = FixedSequence([guarantee], full, np.arange(4)).test(exits)
    assert tested.measured == 25
    assert "each error counts up to twice the spread" in guarantee.sentence
