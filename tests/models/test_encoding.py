"""From words to what the model reads, and back: every word is answered for exactly once."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from tokenexit.backbones import BACKBONES
from tokenexit.errors import UserError
from tokenexit.models.encoders.encoding import WordEncoder, for_words, special_affixes


def check_pieces(pieces: Any, num_words: int, max_length: int) -> None:
    """Pieces of one text: none too long, and together they answer for each word once."""
    answered = [word for piece in pieces for word in range(*piece.keep)]
    assert answered == list(range(num_words))
    for piece in pieces:
        assert len(piece.sentence.input_ids) <= max_length
        words = len(piece.sentence.word_rows)
        first, last = piece.first, piece.first + words
        assert first <= piece.keep[0] <= piece.keep[1] <= last
        rows = [row for rows in piece.sentence.word_rows for row in rows]
        assert rows == list(range(1, len(piece.sentence.input_ids) - 1))


def test_a_long_text_is_answered_for_exactly_once(wordpiece):
    words = [("ada", "xyz", "london", "ab")[place % 4] for place in range(5000)]
    pieces = WordEncoder(wordpiece, 66).encode([words])
    check_pieces(pieces, 5000, 66)
    assert len(pieces) > 100
    spans = [(piece.first, piece.first + len(piece.sentence.word_rows)) for piece in pieces]
    for (_, end), (start, _), piece in zip(spans, spans[1:], pieces, strict=False):
        assert start < end, "neighbours overlap"
        # A word in both is answered for where it stands farther from the cut.
        stop = piece.keep[1]
        assert abs((end - stop) - (stop - start)) <= 1
    # What each piece reads are its own words.
    for piece in pieces:
        for place, rows in enumerate(piece.sentence.word_rows):
            ids = [piece.sentence.input_ids[row] for row in rows]
            expected = wordpiece(words[piece.first + place], add_special_tokens=False)["input_ids"]
            assert ids == expected


@settings(max_examples=150, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 30), max_size=60),
    max_length=st.integers(3, 24),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.9]),
)
def test_any_text_is_answered_for_exactly_once(wordpiece, sizes, max_length, overlap):
    pieces = WordEncoder(wordpiece, max_length, overlap).encode([["x" * size for size in sizes]])
    check_pieces(pieces, len(sizes), max_length)


def test_gold_classes_follow_their_words(wordpiece):
    gold = [place % 5 for place in range(300)]
    pieces = WordEncoder(wordpiece, 20).encode([["ada"] * 300], [gold])
    assert len(pieces) > 10
    for piece in pieces:
        end = piece.first + len(piece.sentence.word_rows)
        assert piece.sentence.targets == gold[piece.first : end]


def test_a_word_longer_than_the_model_keeps_its_beginning(wordpiece):
    encoder = WordEncoder(wordpiece, 10)
    pieces = encoder.encode([["ada", "x" * 200, "was"]])
    check_pieces(pieces, 3, 10)
    long = next(piece for piece in pieces if piece.keep[0] <= 1 < piece.keep[1])
    rows = long.sentence.word_rows[1 - long.first]
    ids = wordpiece("x" * 200, add_special_tokens=False)["input_ids"]
    assert len(ids) == 200
    assert [long.sentence.input_ids[row] for row in rows] == ids[: len(rows)]
    assert len(rows) == 8


@pytest.mark.parametrize("word", ["\u200b", "\u200d\ufeff", "", " ", "\x00", "🙂", "\u0301"])
def test_a_word_that_would_vanish_becomes_the_unknown_token(wordpiece, word):
    (piece,) = WordEncoder(wordpiece, 20).encode([["ada", word, "was"]])
    ids, rows = piece.sentence.input_ids, piece.sentence.word_rows
    assert [len(of_word) for of_word in rows] == [1, 1, 1]
    assert ids[rows[1][0]] == wordpiece.unk_token_id
    known = wordpiece("ada was", add_special_tokens=False)["input_ids"]
    assert [ids[rows[0][0]], ids[rows[2][0]]] == known


def test_bytes_know_every_word_but_the_empty_one(roberta_tokenizer):
    encoder = WordEncoder(for_words(roberta_tokenizer), 40)
    (piece,) = encoder.encode([["a", "\u200b", "", "🙂"]])
    assert [len(rows) for rows in piece.sentence.word_rows] == [2, 4, 1, 5]
    empty = piece.sentence.word_rows[2][0]
    assert piece.sentence.input_ids[empty] == roberta_tokenizer.unk_token_id


def test_texts_without_words_have_no_pieces(wordpiece):
    encoder = WordEncoder(wordpiece, 20)
    assert encoder.encode([]) == encoder.encode([[]]) == encoder.encode([[], []], [[], []]) == []
    pieces = encoder.encode([[], ["ada"], [], ["was"]])
    assert [piece.text for piece in pieces] == [1, 3]


def test_the_smaller_limit_counts(wordpiece):
    short = copy.deepcopy(wordpiece)
    short.model_max_length = 12
    check_pieces(WordEncoder(short, 64).encode([["ada"] * 50]), 50, 12)
    check_pieces(WordEncoder(short, 9).encode([["ada"] * 50]), 50, 9)


def test_affixes_are_what_the_tokenizer_adds(wordpiece, roberta_tokenizer, byte_level):
    assert special_affixes(wordpiece) == ([2], [3])
    assert special_affixes(roberta_tokenizer) == ([0], [2])
    assert special_affixes(for_words(roberta_tokenizer)) == ([0], [2])
    assert special_affixes(byte_level) == ([0], [2])


def test_pieces_read_what_the_tokenizer_writes(wordpiece, roberta_tokenizer, byte_level):
    words = ["Ada", "was", "in", "x9"]
    for given_tokenizer in (wordpiece, roberta_tokenizer, byte_level):
        tokenizer = for_words(given_tokenizer)
        (piece,) = WordEncoder(tokenizer, 64).encode([words])
        whole = tokenizer(words, is_split_into_words=True)
        assert list(piece.sentence.input_ids) == whole["input_ids"]
        first = [whole.word_ids().index(word) for word in range(4)]
        assert [rows[0] for rows in piece.sentence.word_rows] == first


@pytest.mark.parametrize("name", ["roberta_tokenizer", "byte_level"])
def test_bytes_are_told_that_words_come_split(request, name, tmp_path):
    tokenizer = request.getfixturevalue(name)
    words = ["a", "b"]
    glued = tokenizer(words, is_split_into_words=True)["input_ids"]
    told = for_words(tokenizer)
    assert len(told(words, is_split_into_words=True)["input_ids"]) == len(glued) + 2
    assert for_words(told) is told
    # The tokenizer that was given stays as it was, and the copy saves what it does.
    assert tokenizer(words, is_split_into_words=True)["input_ids"] == glued
    model_type = "roberta" if name == "roberta_tokenizer" else "modernbert"
    BACKBONES.get(model_type).example_config(model_type).save_pretrained(tmp_path)
    told.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert for_words(loaded) is loaded
    again = loaded(words, is_split_into_words=True)["input_ids"]
    assert again == told(words, is_split_into_words=True)["input_ids"]


def test_other_tokenizers_are_left_alone(wordpiece):
    assert for_words(wordpiece) is wordpiece


def test_without_an_unknown_token_the_mask_stands_in(wordpiece):
    bare = copy.deepcopy(wordpiece)
    bare.unk_token = None
    (piece,) = WordEncoder(bare, 20).encode([["\u200b"]])
    assert piece.sentence.input_ids[1] == wordpiece.mask_token_id
    bare.mask_token = None
    with pytest.raises(UserError, match="neither an unknown nor a mask token"):
        WordEncoder(bare, 20)


@pytest.mark.parametrize("max_length", [0, 1, 2])
def test_no_room_for_words(wordpiece, max_length):
    with pytest.raises(UserError, match=f"{max_length} positions has no room"):
        WordEncoder(wordpiece, max_length)


def test_slow_tokenizers_are_refused(wordpiece):
    class Slow:
        is_fast = False

    for tokenizer in (Slow(), None):
        with pytest.raises(UserError, match="fast tokenizer"):
            WordEncoder(tokenizer, 20)


def test_words_and_labels_must_match(wordpiece):
    encoder = WordEncoder(wordpiece, 20)
    with pytest.raises(UserError, match="Text 1 has 2 words and 1 labels"):
        encoder.encode([["ada"], ["was", "in"]], [[0], [1]])
    with pytest.raises(UserError, match="Text 0 has 0 words and 1 labels"):
        encoder.encode([[]], [[0]])
    for targets in ([[0]], [[0], [0], [0]]):
        with pytest.raises(UserError, match=f"2 texts, and labels for {len(targets)}"):
            encoder.encode([["ada"], ["was"]], targets)
