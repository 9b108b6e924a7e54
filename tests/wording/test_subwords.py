"""Tokens of any vocabulary become readable text."""

from __future__ import annotations

import pytest
from tokenizers.pre_tokenizers import ByteLevel

from tokenexit.wording.subwords import Subword, _bytes_of, joined, marking, subwords


@pytest.mark.parametrize(
    ("tokens", "marked", "text"),
    [
        (["▁The", "▁ha", "rbour", ".", "</s>"], "sentencepiece", "The harbour."),
        (["▁", "<0xE2>", "<0x82>", "<0xAC>", "▁5"], "sentencepiece", "€ 5"),
        (["de_DE", "▁Ġgantija", "</s>"], "sentencepiece", "Ġgantija"),
        (["The", "ĠcafÃ©", "Ġis", "."], "bytes", "The café is."),
        (["Ġ", "ð", "Ł", "ĺĢ", "Ġok"], "bytes", "😀 ok"),
        (["ä½ł", "å¥½"], "bytes", "你好"),
        (["[CLS]", "the", "har", "##bour", "[SEP]"], "wordpiece", "the harbour"),
        (["the", "harbour"], "words", "the harbour"),
        ([], "words", ""),
    ],
)  # fmt: skip
def test_text_is_put_together(tokens: list[str], marked: str, text: str):
    assert marking(tokens) == marked
    found = subwords(tokens, marking(tokens))
    assert len(found) == len(tokens)
    assert joined(found) == text


def test_each_token_keeps_its_piece():
    found = subwords(["<s>", "Ġcaf", "Ã", "©", "Ċ", "</s>"], "bytes")
    assert found == [
        Subword("<s>", spaced=False, special=True),
        Subword("caf", spaced=True),
        Subword("", spaced=False),  # the first half of a letter
        Subword("é", spaced=False),
        Subword("↵", spaced=False),
        Subword("</s>", spaced=True, special=True),
    ]


def test_a_text_cut_inside_a_letter_can_be_read():
    assert joined(subwords(["ok", "Ã"], "bytes")) == "ok"
    assert joined(subwords(["Ã", "</s>", "ok"], "bytes")) == "ok"
    assert joined(subwords(["Ã", "Ġok"], "bytes")) == "\ufffd ok"


def test_the_alphabet_is_that_of_the_library():
    assert set(ByteLevel.alphabet()) == set(_bytes_of())
    text = "Grüße — “naïve” 你好 😀\ttab"
    split = ByteLevel(add_prefix_space=False).pre_tokenize_str(text)
    assert joined(subwords([token for token, _ in split], "bytes")) == text
