"""Entity tags of a whole data set: BIO, or converted to it, or refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tokenexit.data.bio import check_bio, is_iob1, to_bio
from tokenexit.errors import UserError

if TYPE_CHECKING:
    from tokenexit.data.tagged import TaggedSplit


def require_bio(splits: dict[str, TaggedSplit], convert: bool) -> dict[str, TaggedSplit]:
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
