"""Quality of tags, held against seqeval and scikit-learn called directly."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.scheme import IOB2
from sklearn import metrics as sk

from tokenexit.errors import UserError
from tokenexit.tasks import labelled_task
from tokenexit.tasks.scoring.spans import fast_span_f1

LABELS = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
POS = ("ADJ", "NOUN", "VERB")
UNSEEN = "I-unseen"  # what a gold class of -1 stands for


@st.composite
def taggings(draw):
    """Predictions, gold classes (-1: unknown) and texts; legal and illegal sequences alike."""
    lengths = draw(st.lists(st.integers(1, 7), min_size=1, max_size=6))
    # Texts without words have no entry, so the numbers need not follow one another.
    numbers = sorted(
        draw(st.sets(st.integers(0, 20), min_size=len(lengths), max_size=len(lengths)))
    )
    words = sum(lengths)
    found = draw(st.lists(st.integers(0, 4), min_size=words, max_size=words))
    gold = draw(st.lists(st.integers(-1, 4), min_size=words, max_size=words))
    if draw(st.booleans()):  # good predictions are rare by chance
        found = [
            max(g, 0) if i % 4 else f for i, (f, g) in enumerate(zip(found, gold, strict=True))
        ]
    return np.array(found), np.array(gold), np.repeat(numbers, lengths)


def names(classes, text):
    """Tags of each text, as seqeval reads them."""
    every = [*LABELS, UNSEEN]  # -1 is the last
    return [[every[c] for c in classes[text == number]] for number in np.unique(text)]


@given(taggings())
@settings(deadline=None, max_examples=60)
def test_entities_are_scored_as_seqeval_does(tagging):
    found, gold, text = tagging
    figures = labelled_task("ner").graded(found, gold, text, LABELS)
    true, guess = names(gold, text), names(found, text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert figures["f1"] == f1_score(true, guess)
        assert figures["precision"] == precision_score(true, guess)
        assert figures["recall"] == recall_score(true, guess)
        assert figures["f1_strict"] == f1_score(true, guess, mode="strict", scheme=IOB2)
    assert figures["metric"] == "f1"
    assert figures["quality"] == figures["f1"]
    assert figures["accuracy"] == np.mean(found == gold)


@given(taggings())
@settings(deadline=None, max_examples=200)
def test_the_fast_f1_of_searches_is_seqevals(tagging):
    found, gold, text = tagging
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = f1_score(names(gold, text), names(found, text))
    assert fast_span_f1(found, gold, text, LABELS) == pytest.approx(wanted, abs=1e-12)


def test_default_and_strict_differ_where_nothing_began_a_span():
    gold, text = np.array([3, 4, 0, 1]), np.zeros(4, dtype=int)  # B-PER I-PER O B-LOC
    found = np.array([3, 4, 0, 2])  # ... I-LOC
    figures = labelled_task("ner").graded(found, gold, text, LABELS)
    assert figures["f1"] == 1
    assert figures["f1_strict"] == pytest.approx(2 / 3)  # 1 of 1 found, 1 of 2 there


def test_a_span_ends_with_its_text():
    gold, found = np.array([3, 3]), np.array([3, 4])
    apart = labelled_task("ner").graded(found, gold, np.array([0, 1]), LABELS)
    together = labelled_task("ner").graded(found, gold, np.array([0, 0]), LABELS)
    assert apart["f1"] == 1
    assert together["f1"] == 0


def test_word_classes_are_scored_as_scikit_learn_does():
    generator = np.random.default_rng(0)
    gold, found = generator.integers(-1, 3, 60), generator.integers(0, 3, 60)
    figures = labelled_task("pos").graded(found, gold, np.arange(60) // 6, POS)
    assert figures["metric"] == "accuracy"
    assert figures["quality"] == figures["accuracy"] == sk.accuracy_score(gold, found)
    macro = sk.f1_score(gold, found, average="macro", zero_division=0.0)
    assert figures["macro_f1"] == pytest.approx(macro)
    assert "f1" not in figures


@pytest.mark.parametrize("task", ["ner", "pos"])
def test_words_without_gold_are_left_out(task):
    labels = LABELS if task == "ner" else POS
    gold, found = np.array([1, 2, 0, 1]), np.array([1, 2, 0, 2])
    text = np.array([0, 0, 0, 2])
    wanted = labelled_task(task).graded(found, gold, text, labels)
    more = labelled_task(task).graded(
        np.append(found, [1, 2]),
        np.append(gold, [-100, -100]),
        np.append(text, [2, 3]),
        labels,
    )
    assert more == wanted


def test_an_unknown_label_is_always_wrong():
    gold, text = np.array([1, 2, -1]), np.zeros(3, dtype=int)
    for guess in range(3):
        figures = labelled_task("pos").graded(np.array([1, 2, guess]), gold, text, POS)
        assert figures["accuracy"] == pytest.approx(2 / 3)
    for guess in range(5):  # even an O: an entity was there
        figures = labelled_task("ner").graded(np.array([1, 2, guess]), gold, text, LABELS)
        assert figures["recall"] <= 1 / 2
        assert figures["accuracy"] <= 2 / 3


@pytest.mark.parametrize(("task", "labels"), [("ner", LABELS), ("pos", POS)])
@pytest.mark.parametrize("gold", [[], [-100, -100]])
def test_nothing_to_score_is_zero(task, labels, gold):
    classes = np.zeros(len(gold), dtype=int)
    figures = labelled_task(task).graded(classes, np.array(gold, dtype=int), classes, labels)
    assert all(value == 0 for key, value in figures.items() if key != "metric")


def test_a_trace_is_scored_by_its_arrays():
    text = np.zeros(2, dtype=int)
    trace = SimpleNamespace(prediction=np.array([1, 2]), gold=np.array([1, 1]), text=text)
    wanted = labelled_task("pos").graded(trace.prediction, trace.gold, text, POS)
    assert wanted["accuracy"] == 0.5


def test_an_unknown_task_is_named():
    none = np.zeros(0, dtype=int)
    with pytest.raises(UserError, match=r"Unknown task 'nerr'.*'ner'"):
        labelled_task("nerr").graded(none, none, none, LABELS)
