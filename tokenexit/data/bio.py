"""The BIO (IOB2) tag scheme: spans, legal transitions, and conversion from its relatives.

``B-X`` opens a span of type X, ``I-X`` continues it, ``O`` is outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from tokenexit.errors import UserError

OUTSIDE = "O"
_SINGLE = frozenset("SUW")  # one-word spans in BIOES, BILOU and BMEWO
_END = frozenset("EL")  # last word of a longer span
_PREFIXES = frozenset("BIM") | _SINGLE | _END


class Span(NamedTuple):
    """Words ``start`` to ``end`` (exclusive) carry an entity of this type."""

    type: str
    start: int
    end: int


def entity_types(labels: Iterable[str]) -> list[str]:
    """Sorted entity types that occur in prefixed labels: ``B-PER`` gives ``PER``."""
    return sorted({split_tag(label)[1] for label in set(labels) if label != OUTSIDE})


def is_bio(labels: Iterable[str]) -> bool:
    """Whether every label is ``O``, ``B-X`` or ``I-X``."""
    return not _not_bio(labels)


def check_bio(labels: Iterable[str], origin: str) -> None:
    """Refuse a label set that is not BIO.

    Args:
        labels: Labels or tags; repetitions are fine.
        origin: Where they come from, for the message.

    Raises:
        UserError: Names the offending labels and the way out.
    """
    wrong = _not_bio(labels)
    if not wrong:
        return
    shown = ", ".join(repr(label) for label in wrong[:8]) + (", ..." if len(wrong) > 8 else "")
    if all(_well_formed(label) for label in wrong):
        advice = (
            "They look like BIOES, BILOU or BMEWO. To convert them: convert_tags=true in a recipe, "
            "--convert-tags on the command line, convert=True in Python "
            "(tokenexit.data.bio.to_bio)."
        )
    else:
        advice = (
            "Entity labels need a prefix, such as B-PER and I-PER. If these are word classes, "
            "ask for column=pos_tags instead. (BIOES and BILOU tags can be converted with "
            "tokenexit.data.bio.to_bio.)"
        )
    raise UserError(f"{origin}: labels outside the BIO scheme (O, B-X, I-X): {shown}. {advice}")


def is_iob1(sequences: Iterable[Sequence[str]]) -> bool:
    """Whether tags follow IOB1, where ``B-`` only parts two neighbours of one type.

    The labels are those of BIO, so only their order tells: some span opens with ``I-``, and
    no ``B-`` stands where IOB1 would not put one. A few stray ``I-`` in a BIO corpus
    are therefore not mistaken for it.
    """
    orphans = False
    for tags in sequences:
        before = ""
        for tag in tags:
            if tag[:2] == "B-" and before[2:] != tag[2:]:
                return False
            if tag[:2] == "I-" and before[2:] != tag[2:]:
                orphans = True
            before = tag
    return orphans


def to_bio(tags: Sequence[str]) -> list[str]:
    """One sentence's IOB1, BIOES, BILOU or BMEWO tags as BIO.

    BIO stays as it is, except that an ``I-`` which opens a span becomes ``B-``.

    Raises:
        UserError: A tag belongs to none of these schemes.
    """
    result, before = [], OUTSIDE
    for tag in tags:
        if tag == OUTSIDE:
            result.append(OUTSIDE)
        else:
            result.append(("B-" if _opens(before, tag) else "I-") + split_tag(tag)[1])
        before = tag
    return result


def spans(tags: Sequence[str]) -> list[Span]:
    """Entities of one sentence, read as leniently as conlleval and seqeval's default do.

    An ``I-`` without a span of its type before it opens one. The other schemes of `to_bio` are
    understood as well.
    """
    found: list[Span] = []
    start, before = -1, OUTSIDE
    for index, tag in enumerate([*tags, OUTSIDE]):
        opens = _opens(before, tag)
        if start >= 0 and (opens or tag == OUTSIDE):
            found.append(Span(split_tag(before)[1], start, index))
            start = -1
        if opens:
            start = index
        before = tag
    return found


def legal_transitions(labels: Sequence[str]) -> tuple[list[bool], list[list[bool]]]:
    """Which label may open a sentence, and which may follow which.

    Args:
        labels: A BIO label set, in the order of the classes.

    Returns:
        ``start[j]``: label j may come first; ``matrix[i][j]``: j may follow i. Only ``I-X``
        is ever refused: it needs ``B-X`` or ``I-X`` before it.
    """
    check_bio(labels, "label set")
    start = [not label.startswith("I-") for label in labels]
    matrix = [
        [not after.startswith("I-") or before[1:] == after[1:] for after in labels]
        for before in labels
    ]
    return start, matrix


@lru_cache(maxsize=4096)
def split_tag(tag: str) -> tuple[str, str]:
    """``"B-PER"`` as ``("B", "PER")``; ``"O"`` as ``("O", "")``."""
    if tag == OUTSIDE:
        return OUTSIDE, ""
    if not _well_formed(tag):
        raise UserError(
            f"{tag!r} is not an entity tag: expected O or a prefix and a type, such as B-PER."
        )
    return tag[0], tag[2:]


def _opens(before: str, tag: str) -> bool:
    prefix, kind = split_tag(tag)
    if prefix == OUTSIDE:
        return False
    last, last_kind = split_tag(before)
    return prefix == "B" or prefix in _SINGLE or kind != last_kind or last in _SINGLE | _END


def _well_formed(tag: str) -> bool:
    return tag == OUTSIDE or (len(tag) > 2 and tag[1] == "-" and tag[0] in _PREFIXES)


def _not_bio(labels: Iterable[str]) -> list[str]:
    return sorted(x for x in set(labels) if x != OUTSIDE and not (_well_formed(x) and x[0] in "BI"))
