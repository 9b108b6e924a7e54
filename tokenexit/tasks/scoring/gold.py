"""Gold classes as numbers, those that the model does not know included.

A label outside the model's set is always wrong, but not all such labels are one: two entities of
unseen types are two entities, and an unseen ``I-X`` goes on where an unseen ``B-X`` began. Its
number, below ``FIRST_UNSEEN``, says as much with the model's labels alone beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenexit.data.bio import OUTSIDE, is_bio
from tokenexit.data.tagged import TaggedSplit
from tokenexit.data.texts import UNLABELLED, ScoredSplit

UNKNOWN = -1
"""Gold class of a label of which nothing else is known: inside an entity of no type of ours."""
FIRST_UNSEEN = -101  # below -100, which stands for no label at all


def class_numbers(split: TaggedSplit, labels: Sequence[str]) -> list[list[Any]]:
    """Gold classes of a split; a label that the model does not know gets a number below -100.

    Numbers depend on all of the split: number first, then take rows. Texts without a label get
    -100; of a regression the numbers are returned as they are.
    """
    if isinstance(split, ScoredSplit):
        return split.values
    numbers = {UNLABELLED: -100, **{label: number for number, label in enumerate(labels)}}
    unseen = sorted({tag for tags in split.tags or [] for tag in tags} - numbers.keys())
    bio = is_bio(labels)
    codes = _entity_codes(unseen, labels) if bio else split.unseen_codes(unseen, labels)
    numbers |= {tag: FIRST_UNSEEN - code for tag, code in zip(unseen, codes, strict=True)}
    return [[numbers[tag] for tag in tags] for tags in split.tags or []]


def entity_kinds(
    classes: NDArray[np.integer], labels: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Type of each word, -1 outside entities, and whether it opens one, ``[W]`` each.

    Types are numbers: the model's own come first, sorted; ``UNKNOWN`` has the last.
    """
    own = known_types(labels)
    place = {kind: number for number, kind in enumerate(own)}
    table = np.array([place.get(type_of(label) or "", -1) for label in labels], dtype=np.int64)
    opening = np.array([label[:1] == "B" for label in labels], dtype=bool)
    classes = classes.astype(np.int64)
    known = np.maximum(classes, 0)
    kind, begin = table[known], opening[known]
    unseen = classes <= FIRST_UNSEEN
    code = FIRST_UNSEEN - classes - 1
    last = max(len(own), int(code.max(initial=0, where=unseen)) // 2 + 1)
    kind = np.where(unseen, code >> 1, np.where(classes == UNKNOWN, last, kind))
    return kind, np.where(classes < 0, unseen & (code >= 0) & (code % 2 == 0), begin)


def known_types(labels: Sequence[str]) -> list[str]:
    """Entity types of a label set, sorted."""
    return sorted({kind for label in labels if (kind := type_of(label)) is not None})


def type_of(label: str) -> str | None:
    """Entity type of a label as seqeval reads it, None outside: ``B-geo-loc`` is ``geo-loc``."""
    return None if label[:1] in (OUTSIDE, ".") else label[1:].split("-", 1)[-1] or "_"


def _entity_codes(unseen: list[str], labels: Sequence[str]) -> list[int]:
    """0 for ``O``, else twice the number of the type, and 1 for ``B-X`` or 2 for ``I-X``."""
    own, all_types = known_types(labels), known_types([*labels, *unseen])
    further = [kind for kind in all_types if kind not in own]
    types = {kind: number for number, kind in enumerate([*own, *further])}
    codes = []
    for tag in unseen:
        kind = type_of(tag)
        codes.append(0 if kind is None else 2 * types[kind] + 1 + (tag[:1] != "B"))
    return codes
