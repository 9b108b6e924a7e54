"""What tagging returns is plain data."""

from __future__ import annotations

import json

from tokenexit.models.words.results import Entity, TaggedText


def tagged(labels: list[str], **changes) -> TaggedText:
    words = ["Ada", "Lovelace", "in", "London"][: len(labels)]
    return TaggedText(words, labels, [1] * len(labels), [0.5] * len(labels), **changes)


def test_entities_of_split_words():
    found = tagged(["B-PER", "I-PER", "O", "B-LOC"]).entities
    assert found == [Entity("PER", "Ada Lovelace", 0, 2), Entity("LOC", "London", 3, 4)]


def test_entities_of_a_string_read_as_they_stood_there():
    text, offsets = "Ada  Lovelace in London", [(0, 3), (5, 13), (14, 16), (17, 23)]
    found = tagged(["B-PER", "I-PER", "O", "B-LOC"], text=text, offsets=offsets).entities
    assert found == [
        Entity("PER", "Ada  Lovelace", 0, 2, 0, 13),
        Entity("LOC", "London", 3, 4, 17, 23),
    ]


def test_an_inside_without_a_beginning_begins_one():
    assert [e.type for e in tagged(["O", "I-PER", "I-LOC"]).entities] == ["PER", "LOC"]


def test_as_json():
    data = tagged(["B-PER", "I-PER"]).to_dict()
    assert json.loads(json.dumps(data)) == data
    assert "text" not in data
    assert data["entities"][0]["text"] == "Ada Lovelace"
    assert data["exit_layers"] == [1, 1]


def test_nothing_found_is_said():
    """A reader of JSON lines need not ask whether the key is there."""
    assert tagged(["O", "O"]).to_dict()["entities"] == []
    assert tagged([]).to_dict()["entities"] == []


def test_word_classes_have_no_entities():
    assert "entities" not in tagged(["NOUN", "VERB"]).to_dict()


def test_entities_have_the_mean_of_their_words_as_score():
    text = TaggedText(["Ada", "Lovelace"], ["B-PER", "I-PER"], [1, 2], [0.5, 0.9])
    assert text.entities[0].score == 0.7
    assert text.to_dict()["entities"][0]["score"] == 0.7
    assert text.entity_groups() == [
        {"entity_group": "PER", "score": 0.7, "word": "Ada Lovelace", "start": None, "end": None}
    ]


def test_words_one_after_the_other():
    text = tagged(["B-PER", "O"], text="Ada  Lovelace", offsets=[(0, 3), (5, 13)])
    first, second = text
    assert (first.text, first.label, first.score, first.exit_layer) == ("Ada", "B-PER", 0.5, 1)
    assert (second.start_char, second.end_char) == (5, 13)
    assert len(text) == 2
    assert text[-1] == second
    assert list(tagged([])) == []
    assert tagged([])
