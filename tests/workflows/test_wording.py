"""What a recipe leaves open is read from its data."""

from __future__ import annotations

import logging

import pytest

from tokenexit.data.tagged import TaggedSplit
from tokenexit.errors import UserError
from tokenexit.workflows.config import ClassificationConfig, TaggingConfig
from tokenexit.workflows.recipes import recipe_of
from tokenexit.workflows.wording import wording

pytestmark = pytest.mark.slow

WORDS = [["it", "'s", "Ada", "."]] * 6
BIO = ("O", "B-PER", "I-PER")


def told(words=WORDS, labels=BIO, **changes):
    split = TaggedSplit(words, [["O"] * len(text) for text in words], "here")
    return wording(TaggingConfig(output_dir="run", **changes), split, labels)


@pytest.mark.parametrize(
    ("labels", "given", "decode"),
    [
        (BIO, "auto", "legal"),
        (BIO, "argmax", "argmax"),
        (("NOUN", "VERB"), "auto", "argmax"),
        (BIO, "crf", "argmax"),  # until there is one
    ],
)
def test_decoding(labels, given, decode):
    assert told(labels=labels, decode=given)["decode"] == decode


def test_the_splitter_is_learned_or_told():
    assert told()["splitter"] == "words+clitics"
    assert told(splitter="whitespace")["splitter"] == "whitespace"
    with pytest.raises(UserError, match="no splitter 'letters'"):
        recipe_of(TaggingConfig(output_dir="run", splitter="letters")).prepare()
    config = ClassificationConfig(output_dir="run")
    assert recipe_of(config).wording(TaggedSplit(WORDS, None, "here"), ()) == {}


def test_a_splitter_that_does_not_agree_is_warned_of(caplog):
    with caplog.at_level(logging.INFO, "tokenexit"):
        told()
        assert "words+clitics gives back the words of 100.0 %" in caplog.text
        assert caplog.records[-1].levelno == logging.INFO
        told([["New York", "is big"]] * 4)
    assert caplog.records[-1].levelno == logging.WARNING
