"""The best legal sequence, against trying all of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tokenexit.errors import UserError
from tokenexit.models.words.constrained import LegalDecoder

LABEL_SETS = [
    ("O", "B-PER", "I-PER", "B-LOC", "I-LOC"),
    ("I-PER", "B-PER", "O"),
    ("B-X", "I-X"),
    ("O", "B-PER", "I-LOC"),  # I-LOC can never be reached
    ("O",),
]
scores = st.floats(-50, 0, width=32)


def legal(labels: tuple[str, ...]) -> bool:
    """An I-X stands only behind a B-X or an I-X."""
    for before, after in itertools.pairwise(("O", *labels)):
        if after.startswith("I-") and before not in (f"B-{after[2:]}", after):
            return False
    return True


@settings(max_examples=60, deadline=None)
@given(data=st.data(), labels=st.sampled_from(LABEL_SETS), words=st.integers(0, 4))
def test_no_legal_sequence_scores_higher(data, labels, words):
    log_probs = data.draw(arrays(np.float64, (words, len(labels)), elements=scores))
    path = LegalDecoder(labels)(log_probs)
    assert (path.shape, path.dtype) == ((words,), np.int64)
    assert legal(tuple(labels[c] for c in path))

    def score(classes: tuple[int, ...]) -> float:
        return sum(log_probs[place, c] for place, c in enumerate(classes))

    every = itertools.product(range(len(labels)), repeat=words)
    best = max(score(s) for s in every if legal(tuple(labels[c] for c in s)))
    assert score(tuple(path)) == pytest.approx(best)


@settings(max_examples=50, deadline=None)
@given(data=st.data(), words=st.integers(1, 12))
def test_a_legal_argmax_is_kept(data, words):
    labels = LABEL_SETS[0]
    elements = st.floats(-50, 0, width=32)
    log_probs = data.draw(arrays(np.float32, (words, 5), elements=elements, unique=True))
    argmax = log_probs.argmax(axis=-1)
    path = LegalDecoder(labels)(log_probs)
    if legal(tuple(labels[c] for c in argmax)):
        np.testing.assert_array_equal(path, argmax)
    else:
        assert (path != argmax).any()


def test_a_difference_that_sums_lose():
    log_probs = np.zeros((2, 5), dtype=np.float32) - np.float32(0.5)
    log_probs[0, 3] = -0.0625
    log_probs[1, 3], log_probs[1, 4] = -4e-45, 0.0
    assert LegalDecoder(LABEL_SETS[0])(log_probs).tolist() == [3, 4]


def test_an_entity_nothing_began():
    decoder = LegalDecoder(LABEL_SETS[0])
    log_probs = np.log([[0.4, 0.1, 0.4, 0.05, 0.05], [0.1, 0.1, 0.7, 0.05, 0.05]])
    assert decoder(log_probs).tolist() == [1, 2]  # B-PER I-PER, not I-PER I-PER or O I-PER


def test_long_texts_do_not_overflow():
    rng = np.random.default_rng(0)
    log_probs = np.log(rng.dirichlet(np.ones(5) * 0.01, 5000) + 1e-38).astype(np.float32)
    path = LegalDecoder(LABEL_SETS[0])(log_probs)
    assert legal(tuple(LABEL_SETS[0][c] for c in path))


def test_other_schemes_are_refused():
    with pytest.raises(UserError, match="BIO"):
        LegalDecoder(("NOUN", "VERB"))


@settings(max_examples=40, deadline=None)
@given(data=st.data(), sizes=st.lists(st.integers(1, 4), max_size=5))
def test_many_texts_at_once_are_each_alone(data, sizes):
    decoder = LegalDecoder(LABEL_SETS[0])
    log_probs = data.draw(arrays(np.float32, (sum(sizes), 5), elements=scores))
    numbers = np.repeat(np.arange(len(sizes)) * 2, sizes)  # texts without words are not there
    alone = [decoder(part) for part in np.split(log_probs, np.cumsum(sizes))]
    np.testing.assert_array_equal(decoder.all(log_probs, numbers), np.concatenate(alone))
