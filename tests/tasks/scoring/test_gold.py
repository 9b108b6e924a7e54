"""Labels that the model has never seen, held against seqeval and scikit-learn on the real names."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import accuracy_score, f1_score, precision_score, recall_score
from seqeval.scheme import IOB2
from sklearn import metrics as sk

from tokenexit.data.tagged import TaggedSplit
from tokenexit.tasks import Rows, labelled_task
from tokenexit.tasks.scoring.gold import UNKNOWN, class_numbers
from tokenexit.tasks.scoring.spans import fast_span_f1, span_starts

TYPES = ("PER", "unknown", "geo-loc", "work of art", "Ort/名", "_", "0", "7")


@st.composite
def taggings(draw):
    """Labels of a model, gold tags of any type, and guesses among the labels; legal or not."""
    known = draw(st.lists(st.sampled_from(TYPES), max_size=3, unique=True))
    labels = ["O", *(f"{p}-{kind}" for kind in known for p in "BI")]
    labels = draw(st.permutations(labels))
    if len(labels) > 2 and draw(st.booleans()):  # a model may know B-X and not I-X, or no O
        labels = labels[1:]
    tags = st.sampled_from(["O", *(f"{p}-{kind}" for kind in TYPES for p in "BI"), *labels * 4])
    texts = draw(st.lists(st.lists(tags, max_size=7), min_size=1, max_size=5))
    guesses = [
        [tag if tag in labels and draw(st.integers(0, 3)) else draw(st.sampled_from(labels))
         for tag in text]
        for text in texts
    ]  # fmt: skip
    return labels, texts, guesses


def arrays(labels, texts, guesses):
    gold = class_numbers(TaggedSplit([list(t) for t in texts], texts, "here"), labels)
    number = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    flat = [labels.index(tag) for text in guesses for tag in text]
    return np.array(flat, int), np.array([n for row in gold for n in row], int), number


@given(taggings())
@settings(deadline=None, max_examples=200)
def test_figures_are_seqevals_on_the_real_names(tagging):
    labels, texts, guesses = tagging
    found, gold, text = arrays(labels, texts, guesses)
    figures = labelled_task("ner").graded(found, gold, text, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = f1_score(texts, guesses)
        assert figures["f1"] == expected
        assert figures["precision"] == precision_score(texts, guesses)
        assert figures["recall"] == recall_score(texts, guesses)
        assert figures["f1_strict"] == f1_score(texts, guesses, mode="strict", scheme=IOB2)
        if len(text):
            assert figures["accuracy"] == accuracy_score(texts, guesses)
    assert fast_span_f1(found, gold, text, labels) == pytest.approx(expected, abs=1e-12)
    counts = [len(part) for part in span_starts(found, gold, text, labels)]
    assert (2 * counts[2] / sum(counts[:2]) if sum(counts) else 0) == pytest.approx(expected)


@given(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=30), st.randoms())
@settings(deadline=None, max_examples=50)
def test_word_classes_are_scikit_learns_on_the_real_names(tags, random):
    labels = ["a", "b", "c"]
    guess = [random.choice(labels) for _ in tags]
    found, gold, text = arrays(labels, [tags], [guess])
    figures = labelled_task("pos").graded(found, gold, text, labels)
    assert figures["accuracy"] == sk.accuracy_score(tags, guess)
    macro = sk.f1_score(tags, guess, average="macro", zero_division=0.0)
    assert figures["macro_f1"] == pytest.approx(macro)


def test_numbers_are_never_that_of_no_label():
    """However many labels are unseen, none of them is left out of the figures."""
    tags = [f"{p}-{n}" for n in range(150) for p in "BI"]
    for labels in (["O", "B-x", "I-x"], ["NOUN", "VERB"]):
        (numbers,) = class_numbers(TaggedSplit([tags], [tags], "here"), labels)
        assert len(set(numbers)) == len(tags)
        assert not set(numbers) & {-100, *range(len(labels))}
        assert max(numbers) < 0


def test_without_its_name_a_run_of_unknown_words_is_one_entity():
    labels = ["O", "B-PER", "I-PER"]
    gold = np.array([UNKNOWN, UNKNOWN, UNKNOWN, 0, 1])
    found, text = np.array([0, 0, 0, 0, 1]), np.zeros(5, int)
    assert labelled_task("ner").graded(found, gold, text, labels)["f1"] == pytest.approx(2 / 3)
    assert fast_span_f1(found, gold, text, labels) == pytest.approx(2 / 3)


def test_the_bootstrap_counts_the_same_spans():
    labels = ["O", "B-PER", "I-PER"]
    texts = [["B-ORG", "I-ORG", "B-ORG"], ["B-PER", "O", "I-LOC"]]
    guesses = [["O", "O", "O"], ["B-PER", "O", "O"]]
    found, gold, text = arrays(labels, texts, guesses)
    rows = Rows(found, gold, text, labels)
    assert labelled_task("ner").parts(rows, 2).tolist() == [[0, 2], [2, 3]]


@pytest.mark.parametrize(
    ("texts", "guesses", "labels", "expected"),
    [
        (
            [["B-ORG", "I-ORG", "I-ORG", "O", "B-PER"]],
            [["O", "O", "O", "O", "B-PER"]],
            ["O", "B-PER", "I-PER"],
            2 / 3,
        ),
        (
            [["B-unknown", "O", "B-ORG"]],
            [["B-unknown", "O", "B-unknown"]],
            ["O", "B-unknown", "I-unknown"],
            1 / 2,
        ),
        ([["B-ORG", "B-LOC", "B-PER"]], [["O", "O", "B-PER"]], ["O", "B-PER"], 1 / 2),
        ([["I-a-b", "I-a", "B-c"]], [["B-a-b", "O", "O"]], ["O", "B-a-b"], 1 / 2),
        ([[], ["B-x"], []], [[], ["O"], []], ["O"], 0),
    ],
)
def test_unseen_types_by_hand(texts, guesses, labels, expected):
    found, gold, text = arrays(labels, texts, guesses)
    assert labelled_task("ner").graded(found, gold, text, labels)["f1"] == pytest.approx(expected)
    assert fast_span_f1(found, gold, text, labels) == pytest.approx(expected)
