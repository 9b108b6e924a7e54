"""How answers of every task are shown."""

from __future__ import annotations

import pytest

from tokenexit.models.generation.generate_texts import GeneratedText
from tokenexit.models.words.results import TaggedText
from tokenexit.tasks import Task, task_named
from tokenexit.tasks.answers import ClassifiedText, ScoredText
from tokenexit.tasks.multilabel import LabelledText
from tokenexit.tasks.view import Piece, View

WORDS = (["Ada", "sings"], [2, 1], [0.9, 0.8])


def tagged(*labels: str) -> TaggedText:
    words, layers, scores = WORDS
    return TaggedText(words, list(labels), layers, scores)


@pytest.mark.parametrize(
    ("task", "answer", "line"),
    [
        ("ner", tagged("B-PER", "O"), "Ada (PER)"),
        ("ner", tagged("O", "O"), "no entity"),
        ("pos", tagged("NOUN", "VERB"), "1 NOUN, 1 VERB"),
    ],
)
def test_words(task, answer, line):
    view = task_named(task).view(answer)
    assert view.answer == line
    label = answer.labels[0]
    assert view.pieces[0] == Piece("Ada", 2, None if label == "O" else label, 0.9)


def test_texts():
    named = task_named("classification").view(ClassifiedText("yes", 0.7, 2, "It is."))
    assert named == View("yes", [Piece("It is.", 2, "yes", 0.7)])
    pair = task_named("regression").view(ScoredText(2.54321, 1, ["a", "b"]))
    assert pair == View("2.543", [Piece("a", 1, "2.543"), Piece("b", 1, "2.543")])
    none = task_named("multilabel").view(LabelledText([], 0.6, 3, "Fine."))
    assert none == View("no label", [Piece("Fine.", 3, "no label", 0.6)])


def test_tokens_stand_as_they_are_written():
    answer = GeneratedText("ein Haus", ["▁ein", "▁Ha", "us", "</s>"], [1, 2, 1, 1], [5, 6, 7, 1])
    spaced = GeneratedText(**{**vars(answer), "token_texts": [" ein", " Ha", "us", "</s>"]})
    view = task_named("translation").view(spaced)
    assert view.answer == "ein Haus"
    assert [(one.text, one.layer, one.spaced) for one in view.pieces] == [
        ("ein", 1, True), ("Ha", 2, True), ("us", 1, False), ("</s>", 1, False),
    ]  # fmt: skip


def test_a_task_that_says_nothing_shows_its_data():
    shown = Task.view(task_named("pos"), ScoredText(1.0, 2, "ä"))
    assert shown == View('{"value": 1.0, "exit_layer": 2, "text": "ä"}')
