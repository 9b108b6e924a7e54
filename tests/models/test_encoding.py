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


def check_windows(windows: Any, num_words: int, max_length: int) -> None:
    """Windows of one text: none too long, and together they answer for each word once."""
    answered = [word for window in windows for word in range(*window.keep)]
    assert answered == list(range(num_words))
    for window in windows:
        assert len(window.sentence.input_ids) <= max_length
        words = len(window.sentence.word_rows)
        first, last = window.first, window.first + words
        assert first <= window.keep[0] <= window.keep[1] <= last
        rows = [row for rows in window.sentence.word_rows for row in rows]
        assert rows == list(range(1, len(window.sentence.input_ids) - 1))


def test_a_long_text_is_answered_for_exactly_once(wordpiece):
    words = [("ada", "xyz", "london", "ab")[place % 4] for place in range(5000)]
    windows = WordEncoder(wordpiece, 66).encode([words])
    check_windows(windows, 5000, 66)
    assert len(windows) > 100
    spans = [(window.first, window.first + len(window.sentence.word_rows)) for window in windows]
    for (_, end), (start, _), window in zip(spans, spans[1:], windows, strict=False):
        assert start < end, "neighbours overlap"
        # A word in both is answered for where it stands farther from the cut.
        stop = window.keep[1]
        assert abs((end - stop) - (stop - start)) <= 1
    # What each window reads are its own words.
    for window in windows:
        for place, rows in enumerate(window.sentence.word_rows):
            ids = [window.sentence.input_ids[row] for row in rows]
            expected = wordpiece(words[window.first + place], add_special_tokens=False)["input_ids"]
            assert ids == expected


@settings(max_examples=150, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 30), max_size=60),
    max_length=st.integers(3, 24),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.9]),
)
def test_any_text_is_answered_for_exactly_once(wordpiece, sizes, max_length, overlap):
    windows = WordEncoder(wordpiece, max_length, overlap).encode([["x" * size for size in sizes]])
    check_windows(windows, len(sizes), max_length)


def test_gold_classes_follow_their_words(wordpiece):
    gold = [place % 5 for place in range(300)]
    windows = WordEncoder(wordpiece, 20).encode([["ada"] * 300], [gold])
    assert len(windows) > 10
    for window in windows:
        end = window.first + len(window.sentence.word_rows)
        assert window.sentence.targets == gold[window.first : end]


def test_a_word_longer_than_the_model_keeps_its_beginning(wordpiece):
    encoder = WordEncoder(wordpiece, 10)
    windows = encoder.encode([["ada", "x" * 200, "was"]])
    check_windows(windows, 3, 10)
    long = next(window for window in windows if window.keep[0] <= 1 < window.keep[1])
    rows = long.sentence.word_rows[1 - long.first]
    ids = wordpiece("x" * 200, add_special_tokens=False)["input_ids"]
    assert len(ids) == 200
    assert [long.sentence.input_ids[row] for row in rows] == ids[: len(rows)]
    assert len(rows) == 8


@pytest.mark.parametrize("word", ["\u200b", "\u200d\ufeff", "", " ", "\x00", "🙂", "\u0301"])
def test_a_word_that_would_vanish_becomes_the_unknown_token(wordpiece, word):
    (window,) = WordEncoder(wordpiece, 20).encode([["ada", word, "was"]])
    ids, rows = window.sentence.input_ids, window.sentence.word_rows
    assert [len(of_word) for of_word in rows] == [1, 1, 1]
    assert ids[rows[1][0]] == wordpiece.unk_token_id
    known = wordpiece("ada was", add_special_tokens=False)["input_ids"]
    assert [ids[rows[0][0]], ids[rows[2][0]]] == known


def test_bytes_know_every_word_but_the_empty_one(roberta_tokenizer):
    encoder = WordEncoder(for_words(roberta_tokenizer), 40)
    (window,) = encoder.encode([["a", "\u200b", "", "🙂"]])
    assert [len(rows) for rows in window.sentence.word_rows] == [2, 4, 1, 5]
    empty = window.sentence.word_rows[2][0]
    assert window.sentence.input_ids[empty] == roberta_tokenizer.unk_token_id


def test_texts_without_words_have_no_pieces(wordpiece):
    encoder = WordEncoder(wordpiece, 20)
    assert encoder.encode([]) == encoder.encode([[]]) == encoder.encode([[], []], [[], []]) == []
    windows = encoder.encode([[], ["ada"], [], ["was"]])
    assert [window.text for window in windows] == [1, 3]


def test_the_smaller_limit_counts(wordpiece):
    short = copy.deepcopy(wordpiece)
    short.model_max_length = 12
    check_windows(WordEncoder(short, 64).encode([["ada"] * 50]), 50, 12)
    check_windows(WordEncoder(short, 9).encode([["ada"] * 50]), 50, 9)


def test_affixes_are_what_the_tokenizer_adds(wordpiece, roberta_tokenizer, byte_level):
    assert special_affixes(wordpiece) == ([2], [3])
    assert special_affixes(roberta_tokenizer) == ([0], [2])
    assert special_affixes(for_words(roberta_tokenizer)) == ([0], [2])
    assert special_affixes(byte_level) == ([0], [2])


def test_pieces_read_what_the_tokenizer_writes(wordpiece, roberta_tokenizer, byte_level):
    words = ["Ada", "was", "in", "x9"]
    for given_tokenizer in (wordpiece, roberta_tokenizer, byte_level):
        tokenizer = for_words(given_tokenizer)
        (window,) = WordEncoder(tokenizer, 64).encode([words])
        whole = tokenizer(words, is_split_into_words=True)
        assert list(window.sentence.input_ids) == whole["input_ids"]
        first = [whole.word_ids().index(word) for word in range(4)]
        assert [rows[0] for rows in window.sentence.word_rows] == first


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
    (window,) = WordEncoder(bare, 20).encode([["\u200b"]])
    assert window.sentence.input_ids[1] == wordpiece.mask_token_id
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
