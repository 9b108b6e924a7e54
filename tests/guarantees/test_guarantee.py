"""Promises as text and as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenexit.errors import UserError
from tokenexit.guarantees import Guarantee, parse
from tokenexit.guarantees.losses import LOSSES

KINDS = {name: cls() for name, cls in LOSSES.items()}


@given(
    loss=st.sampled_from(sorted(KINDS)),
    share=st.floats(0.001, 0.999),
    delta=st.one_of(st.none(), st.sampled_from([0.1, 0.05, 0.01, 0.25])),
    every=st.sampled_from([None, "class", "length:0-10,11-30,31-", "domain"]),
    bound=st.sampled_from([None, "betting", "hoeffding-bentkus", "exact binomial"]),
)
def test_it_reads_what_it_writes(loss, share, delta, every, bound):
    allowed = round(1 + share if loss == "layers saved" else share, 6)
    made = Guarantee(loss, allowed, delta, every, bound if delta else None)
    assert Guarantee.parse(str(made)) == made
    assert Guarantee(**made.to_json()) == made
    assert parse(str(made)) == (made,)
    assert made.sentence


def test_several_are_joined():
    found = parse("chrf loss <= 0.01 with 95% and layers saved >= 1.5")
    assert [one.loss for one in found] == ["chrf loss", "layers saved"]
    assert [one.delta for one in found] == [0.05, 0.1]
    assert str(found[0]) == "chrf loss <= 0.01 with 95%"


def test_in_words():
    assert Guarantee.parse("f1 kept>=.99").sentence == (
        "at least 99% of full depth's F1 is kept (one to four wrong entities of one text count at "
        "most), with 90% probability"
    )
    assert Guarantee.parse("every class differs <= 0.05 on average").sentence == (
        "of every class: at most 5% of texts differ anywhere from full depth, on average over "
        "calibrations"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("differs <= 0.05 by betting on average", "Unknown bound"),
        ("differs <= 0.05 on average by betting", "tested by no bound"),
        ("differs <= 0.05 with 90% by beting", "Did you mean 'betting'"),
        ("be good", "is no promise; these are"),
        ("f1 kept <= 0.99", "is written with >="),
        ("differs >= 0.05", "is written with <="),
        ("f1 kpt >= 0.99", "Did you mean 'f1 kept'"),
        ("f1 kept >= 1", "between 0 and 1, not 1"),
        ("f1 kept >= 0", "between 0 and 1, not 0"),
        ("differs <= 1.5", "between 0 and 1"),
        ("layers saved >= 1", "between 1 and inf"),
        ("differs <= 0.05 with 100%", "less than 100%"),
        ("differs <= 0.05 with 0%", "more than 0%"),
        ("bleu loss <= 0.01", "chrf loss"),
        ("differs <= 0..5", "is no number"),
        ("differs <= 0.05 and differs <= 0.1", "Two promises"),
        ("", "is no promise"),
    ],
)
def test_mistakes_are_explained(text, said):
    with pytest.raises(UserError) as error:
        parse(text)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("every length:0-10,11- differs <= 0.1", "of every length of 0-10, 11-: at most 10% of"),
        ("differs <= 0.05 with 99.999%", "with 99.999% probability"),
        ("f1 kept >= 0.9999999", "at least 99.99999% of full depth's F1"),
        ("layers saved >= 2.12345678", "at least 2.12345678"),
    ],
)
def test_a_sentence_claims_no_more_than_was_asked(text, told):
    assert told in Guarantee.parse(text).sentence


def test_a_sentence_says_that_documents_counted():
    promise = Guarantee.parse("differs <= 0.05")
    assert "documents counting alike, each by the mean of its texts" in promise.told("documents")
    assert promise.told() == promise.sentence
