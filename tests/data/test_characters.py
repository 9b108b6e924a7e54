from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenexit.data.characters import whole_characters


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("half \ud83d", "half \ufffd"),
        ("\ude00 half", "\ufffd half"),
        ("a\ud83db", "a\ufffdb"),
        ("\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("", ""),
        ("plain", "plain"),
        ("\U0001f600 é \ufeff\x00", "\U0001f600 é \ufeff\x00"),
    ],
)
def test_lone_surrogates_are_replaced(text: str, expected: str) -> None:
    assert whole_characters(text) == expected


@given(st.text(st.characters(), max_size=20))
def test_any_text_can_be_written(text: str) -> None:
    found = whole_characters(text)
    found.encode("utf-8")
    assert whole_characters(found) == found
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        assert len(found) <= len(text)
    else:
        assert found is text
