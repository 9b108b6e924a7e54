"""Tagged sentences: words and one string tag for each, whatever the data looked like."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from tokenexit.data.bio import OUTSIDE, check_bio, entity_types, is_bio, is_iob1, to_bio
from tokenexit.data.split import Split
from tokenexit.data.table import listed, shown
from tokenexit.errors import UserError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TaggedSplit(Split):
    """Sentences of one split.

    Attributes:
        tokens: Words of each sentence; a sentence may be empty.
        tags: One tag a word, or None for text without tags.
        origin: Where it comes from, for messages.
        groups: Document of each sentence; None where each stands for itself.
    """

    tokens: list[list[str]]
    tags: list[list[str]] | None
    origin: str
    groups: list[str] | None = field(default=None, kw_only=True)

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def num_words(self) -> int:
        """Words of all sentences together."""
        return sum(map(len, self.tokens))

    @property
    def words(self) -> list[str]:
        """All words, sentence after sentence."""
        return [word for sentence in self.tokens for word in sentence]

    def labelled(self) -> Self:
        """The texts that have a label: all, of words."""
        return self

    def unseen_codes(self, unseen: Sequence[str], labels: Sequence[str]) -> Sequence[int]:
        """Numbers from 0 for labels that a model does not know, which tell them apart.

        Args:
            unseen: Those labels.
            labels: The model's own.
        """
        return range(len(unseen))

    def keys(self) -> list[str]:
        """See ``Split``."""
        tags = self.tags or [[]] * len(self)
        return [
            "\x1d".join(map(str, tokens)) + "\x1e" + "\x1d".join(map(str, told))
            for tokens, told in zip(self.tokens, tags, strict=True)
        ]


def read_tagged(
    source: str | Path,
    column: str | None = "ner_tags",
    name: str | None = None,
    revision: str | None = None,
    convert: bool = False,
) -> dict[str, TaggedSplit]:
    """Read every split of a tagged data set.

    Args:
        source: File, folder or Hub id, as in `tokenexit.data.source.load_splits`.
        column: Column of the tags; for ``ner_tags`` and ``pos_tags`` the usual other names are
            found as well. None reads the words alone.
        name: Configuration or sub-folder.
        revision: Of a Hub data set.
        convert: Convert entity tags of other schemes (IOB1, BIOES, BILOU, BMEWO) to BIO; parts of
            speech stay as they are.

    Raises:
        UserError: The source cannot be read, a column is missing, a row is malformed, or entity
            tags are not BIO and ``convert`` is off.
    """
    from tokenexit.data.columns import is_entity_column, is_word_class_column, read_split
    from tokenexit.data.source import load_splits

    loaded = load_splits(source, name=name, revision=revision)
    splits = {}
    for split, dataset in loaded.items():
        origin = str(source) if split == "all" else f"{source} [{split}]"
        splits[split] = TaggedSplit(*read_split(dataset, column, origin), origin)
    if column is None or is_word_class_column(column):
        return splits
    if convert or is_entity_column(column) or _is_prefixed(splits):
        splits = _in_bio(splits, convert)
    return splits


def _is_prefixed(splits: dict[str, TaggedSplit]) -> bool:
    """Whether all tags are such as entities have, whatever their column is called."""
    found = {tag for split in splits.values() for tags in split.tags or () for tag in tags}
    return len(found) > 1 and is_bio(found)


def _in_bio(splits: dict[str, TaggedSplit], convert: bool) -> dict[str, TaggedSplit]:
    """Return the splits in BIO.

    Args:
        splits: Splits of one data set; its scheme is judged on all of them together.
        convert: Convert other schemes instead of refusing them.

    Raises:
        UserError: The tags follow another scheme and ``convert`` is off, or follow none.
    """
    tagged = {name: split for name, split in splits.items() if split.tags is not None}
    if convert:
        return splits | {name: _converted(split) for name, split in tagged.items()}
    for split in tagged.values():
        check_bio({tag for tags in split.tags or () for tag in tags}, split.origin)
    if is_iob1(tags for split in tagged.values() for tags in split.tags or ()):
        origin = next(iter(tagged.values())).origin
        raise UserError(
            f"{origin}: the tags look like IOB1 (entities open with I-X; B-X only parts two "
            "neighbours), not BIO. To convert them: convert_tags=true in a recipe, --convert-tags "
            "on the command line, convert=True in Python "
            "(tokenexit.data.bio.to_bio)."
        )
    return splits


def _converted(split: TaggedSplit) -> TaggedSplit:
    rows = []
    for number, tags in enumerate(split.tags or ()):
        try:
            rows.append(to_bio(tags))
        except UserError as error:
            raise UserError(f"{split.origin}, row {number}: {error}") from error
    return replace(split, tags=rows)


def label_names(split: TaggedSplit, column: str = "ner_tags") -> tuple[str, ...]:
    """The label set that a training split implies, always in the same order.

    Entity labels: ``O``, then ``B-X`` and ``I-X`` for each type, both even if only one occurs.
    Other labels (``column="pos_tags"``): sorted.
    """
    from tokenexit.data.columns import is_entity_column

    found = {tag for tags in _tags(split) for tag in tags}
    if not found:
        raise UserError(f"{split.origin} holds no word, so no labels can be learned from it.")
    if is_entity_column(column) or (is_bio(found) and len(found) > 1):
        return (OUTSIDE, *(f"{p}-{kind}" for kind in entity_types(found) for p in "BI"))
    return tuple(sorted(found))


def check_labels(
    split: TaggedSplit, labels: Sequence[str], on_unknown: str = "error"
) -> TaggedSplit:
    """Make sure that a split has no tag which the model does not know.

    Args:
        split: What is to be evaluated, or trained on.
        labels: The model's labels.
        on_unknown: ``error``, or ``keep`` to log the finding and let these words count
            as wrong.

    Returns:
        The split, unchanged.
    """
    if on_unknown not in ("error", "keep"):
        raise UserError(f"on_unknown must be error or keep, not {on_unknown!r}.")
    known, unknown, first = set(labels), Counter[str](), None
    for row, tags in enumerate(_tags(split)):
        strange = [tag for tag in tags if tag not in known]
        if strange and first is None:
            first = row
        unknown.update(strange)
    if not unknown:
        return split
    listing = ", ".join(f"{shown(tag)} ({count}x)" for tag, count in unknown.most_common(8))
    message = (
        f"{split.origin}: {len(unknown)} label(s) outside the training set: {listing}; first in "
        f"row {first}. The model knows: {listed(labels)}."
    )
    if on_unknown == "error":
        raise UserError(
            f"{message} Rename them, train on data that has them, or let them count "
            "as wrong: --unknown keep, on_unknown='keep' in Python."
        )
    logger.warning("%s These words will count as wrong.", message)
    return split


def held_out_of(train: Split) -> str:
    """Origin of the texts that are held out of a training split."""
    return f"{train.origin} (held out)"


def with_validation(
    splits: dict[str, TaggedSplit], fraction: float = 0.1, seed: int = 0
) -> dict[str, TaggedSplit]:
    """Make a validation split from the training split where there is none.

    A random ``fraction`` of the training sentences moves over, the same for the same ``seed``.
    A lone file (``all``) counts as the training split.
    """
    if not 0 < fraction < 1:
        raise UserError(f"fraction must be between 0 and 1, not {fraction!r}.")
    splits = dict(splits)
    if set(splits) == {"all"}:
        splits["train"] = splits.pop("all")
    if "train" not in splits:
        raise UserError(
            f"Training needs a train split; there is only {', '.join(splits) or 'nothing'}."
        )
    if "validation" in splits:
        return splits
    train = splits["train"]
    if len(train) < 2:
        raise UserError(f"{train.origin}: {len(train)} sentence(s) are too few to part.")
    count = min(max(1, round(fraction * len(train))), len(train) - 1)
    chosen = set(random.Random(seed).sample(range(len(train)), count))
    kept = train.take([row for row in range(len(train)) if row not in chosen])
    held = replace(train.take(sorted(chosen)), origin=held_out_of(train))
    logger.info(
        "%s has no validation split: %d of %d training sentences were held out as one (seed %d).",
        train.origin, count, len(train), seed,
    )  # fmt: skip
    return {"train": kept, "validation": held, **{k: v for k, v in splits.items() if k != "train"}}


def _tags(split: TaggedSplit) -> list[list[str]]:
    if split.tags is None:
        raise UserError(f"{split.origin} has no tags; give data with a tag column.")
    return split.tags
