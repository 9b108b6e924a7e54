from __future__ import annotations

import random

import pytest

from tokenexit.data.bio import (
    Span,
    check_bio,
    entity_types,
    is_bio,
    is_iob1,
    legal_transitions,
    spans,
    to_bio,
)
from tokenexit.errors import UserError


def bioes(tags: list[str]) -> list[str]:
    """The inverse of `to_bio` for BIO input, to test it."""
    out = []
    for place, tag in enumerate(tags):
        last = tags[place + 1 : place + 2] != ["I" + tag[1:]]
        if tag != "O" and last:
            tag = {"B": "S", "I": "E"}[tag[0]] + tag[1:]
        out.append(tag)
    return out


def random_bio(rng: random.Random, length: int) -> list[str]:
    tags: list[str] = []
    for _ in range(length):
        allowed = ["O", "B-PER", "B-LOC"]
        if tags and tags[-1] != "O":
            allowed += ["I" + tags[-1][1:]] * 2
        tags.append(rng.choice(allowed))
    return tags


def test_entity_types_are_sorted_and_may_hold_dashes() -> None:
    assert entity_types(["O", "B-creative-work", "I-PER", "B-PER"]) == ["PER", "creative-work"]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["O", "B-PER", "I-PER"], True),
        (["O"], True),
        ([], True),
        (["O", "S-PER"], False),
        (["O", "PER"], False),
        (["O", "B-"], False),
        (["NOUN", "VERB"], False),
    ],
)
def test_is_bio(labels: list[str], expected: bool) -> None:
    assert is_bio(labels) is expected


def test_check_bio_points_bioes_to_the_conversion() -> None:
    with pytest.raises(UserError, match=r"my\.conll: .*'E-PER', 'S-PER'.*to_bio") as error:
        check_bio(["O", "B-PER", "S-PER", "E-PER"], "my.conll")
    assert "'B-PER'" not in str(error.value)


def test_check_bio_points_word_classes_to_the_other_column() -> None:
    with pytest.raises(UserError, match=r"'NOUN', 'VERB'.*column=pos_tags"):
        check_bio(["NOUN", "VERB"], "x")


def test_to_bio_from_bioes_bilou_and_bmewo() -> None:
    bio = ["B-PER", "I-PER", "I-PER", "O", "B-LOC", "B-LOC", "I-LOC"]
    assert to_bio(["B-PER", "I-PER", "E-PER", "O", "S-LOC", "B-LOC", "E-LOC"]) == bio
    assert to_bio(["B-PER", "I-PER", "L-PER", "O", "U-LOC", "B-LOC", "L-LOC"]) == bio
    assert to_bio(["B-PER", "M-PER", "E-PER", "O", "W-LOC", "B-LOC", "E-LOC"]) == bio


def test_to_bio_from_iob1() -> None:
    assert to_bio(["I-PER", "I-PER", "B-PER", "I-LOC", "O", "I-LOC"]) == [
        "B-PER", "I-PER", "B-PER", "B-LOC", "O", "B-LOC",
    ]  # fmt: skip


def test_to_bio_inverts_bioes_and_leaves_bio_alone() -> None:
    rng = random.Random(1)
    for _ in range(300):
        tags = random_bio(rng, rng.randint(0, 12))
        assert to_bio(bioes(tags)) == tags
        assert to_bio(tags) == tags
        assert spans(bioes(tags)) == spans(tags)


@pytest.mark.parametrize("tag", ["PER", "X-PER", "B_PER", "B-", "", "o"])
def test_to_bio_refuses_unknown_tags(tag: str) -> None:
    with pytest.raises(UserError, match="not an entity tag"):
        to_bio(["O", tag])


@pytest.mark.parametrize(
    ("sequences", "expected"),
    [
        ([["I-PER", "O"]], True),
        ([["I-PER", "B-PER", "O", "I-LOC"]], True),
        ([["O", "B-PER", "I-PER"]], False),
        ([["I-PER", "O", "B-PER"]], False),  # a stray I- in a BIO corpus
        ([["O", "O"], []], False),
        ([["I-PER", "B-LOC"]], False),
    ],
)
def test_is_iob1(sequences: list[list[str]], expected: bool) -> None:
    assert is_iob1(sequences) is expected


def test_spans_are_lenient() -> None:
    assert spans(["I-PER", "I-PER", "I-LOC", "B-LOC", "O", "I-PER"]) == [
        Span("PER", 0, 2), Span("LOC", 2, 3), Span("LOC", 3, 4), Span("PER", 5, 6),
    ]  # fmt: skip
    assert spans([]) == []
    assert spans(["O"]) == []


def test_spans_agree_with_seqeval_on_random_tags() -> None:
    entities = pytest.importorskip("seqeval.metrics.sequence_labeling").get_entities
    rng = random.Random(2)
    labels = [f"{p}-{t}" for p in "BIES" for t in ("PER", "LOC")] + ["O", "O"]
    for choice in (["O", "B-PER", "I-PER", "B-LOC", "I-LOC"], labels):
        for _ in range(500):
            tags = rng.choices(choice, k=rng.randint(0, 10))
            theirs = [(kind, start, end + 1) for kind, start, end in entities(tags)]
            assert [tuple(span) for span in spans(tags)] == theirs, tags


def test_legal_transitions() -> None:
    labels = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
    start, matrix = legal_transitions(labels)
    assert start == [True, True, False, True, False]
    refused = {
        (before, after)
        for i, before in enumerate(labels)
        for j, after in enumerate(labels)
        if not matrix[i][j]
    }
    assert refused == {
        ("O", "I-LOC"), ("O", "I-PER"), ("B-LOC", "I-PER"), ("I-LOC", "I-PER"),
        ("B-PER", "I-LOC"), ("I-PER", "I-LOC"),
    }  # fmt: skip


def test_legal_transitions_need_bio() -> None:
    with pytest.raises(UserError, match="S-PER"):
        legal_transitions(["O", "S-PER"])
