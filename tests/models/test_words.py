"""Splitting strings into words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenexit.models.splitting.words import split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \t\n", []),
        ("Ada was born.", ["Ada", "was", "born", "."]),
        ("Don't stop, U.S. 3,000!", ["Don't", "stop", ",", "U.S.", "3,000", "!"]),
        ("l’été (1842–3)", ["l’été", "(", "1842", "–", "3", ")"]),
        ("well-known e-mail", ["well-known", "e-mail"]),
        ("'quoted' -dash-", ["'", "quoted", "'", "-", "dash", "-"]),
        ("東京 2020", ["東京", "2020"]),
        ("🙂🙂 ok", ["🙂", "🙂", "ok"]),
        ("cafe\u0301 nai\u0308ve-ish", ["cafe\u0301", "nai\u0308ve-ish"]),  # accents apart
        ("हिन्दी में है।", ["हिन्दी", "में", "है", "।"]),  # vowel signs are marks, not letters
        ("தமிழ்நாடு", ["தமிழ்நாடு"]),
        ("❤\ufe0f!", ["❤\ufe0f", "!"]),
        ("\u200b", []),  # nothing to be seen
        ("\ufeffAda\u200b was", ["Ada\u200b", "was"]),
        ("e \u0301x", ["e", "\u0301", "x"]),
        ("-\u0301x", ["-\u0301", "x"]),
    ],
)
def test_words(text, words):
    assert split_words(text)[0] == words


@given(st.text(max_size=40))
def test_words_stand_where_they_are_said_to(text):
    words, places = split_words(text)
    assert [text[start:end] for start, end in places] == words
    ends = [0, *(end for _, end in places)]
    assert all(end <= start < stop for end, (start, stop) in zip(ends, places, strict=False))
    assert not any(word.isspace() or not word for word in words)
    kept = "".join(words)
    assert [c for c in text if c.isalnum()] == [c for c in kept if c.isalnum()]
