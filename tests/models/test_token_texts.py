"""Generated tokens as text: together they are the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenexit.models.fresh.encoder_decoder import train_subword_tokenizer
from tokenexit.models.generation.token_texts import token_texts

BYTES = train_subword_tokenizer(["a schöne grüne house", "schöne 家 😀 schöne"] * 5, 300)


class Pieces:
    """As T5's: spaces are marks, unknown characters bytes."""

    all_special_tokens = ("</s>", "de_DE")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_pieces_of_bytes_make_the_text(text):
    ids = BYTES(text)["input_ids"]
    tokens = BYTES.convert_ids_to_tokens(ids)
    shown = token_texts(BYTES, tokens)
    assert len(shown) == len(tokens)
    assert shown[-1] == "</s>"
    assert "".join(shown[:-1]) == text


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (["▁The", "▁ha", "rbour", ".", "</s>"], [" The", " ha", "rbour", ".", "</s>"]),
        (["de_DE", "▁", "<0xE2>", "<0x82>", "<0xAC>"], ["de_DE", " ", "", "", "€"]),
        (["<0xE2>", "</s>"], ["", "\ufffd</s>"]),
        (["Ġgantija"], ["Ġgantija"]),
        ([], []),
    ],
)
def test_pieces_of_sentences(tokens, expected):
    assert token_texts(Pieces(), tokens) == expected


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (["ĠschÃ¶ne", "</s>"], [" schöne", "</s>"]),
        (["Ã", "¶", "Ġ"], ["", "ö", " "]),
        (["ð", "Ł", "ĺĢ", "Ġok"], ["", "", "😀", " ok"]),
        (["Ã"], ["\ufffd"]),
    ],
)
def test_pieces_of_bytes_are_readable(tokens, expected):
    assert token_texts(BYTES, tokens) == expected
