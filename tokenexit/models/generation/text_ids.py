"""Token ids of texts, cut where they are too long: special tokens at both ends stay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tokenexit.errors import UserError


def special_ends(tokenizer: Any, **mode: Any) -> tuple[int, int]:
    """Special tokens before and after every text.

    Args:
        tokenizer: Any.
        mode: ``target=True`` for texts to be written.
    """
    key = "text_target" if mode.get("target") else "text"
    bare, letter = (tokenizer(**{key: text})["input_ids"] for text in ("", "a"))
    same = [one == other for one, other in zip(bare, letter, strict=False)]
    before = [*same, False].index(False)
    after = len(bare) - before
    return before, after if letter[len(letter) - after :] == bare[before:] else 1


def cut(ids: Sequence[int], most: int, ends: tuple[int, int]) -> list[int]:
    """At most so many tokens, of which the special ones are kept.

    Raises:
        UserError: There would be room for special tokens only.
    """
    if len(ids) <= most:
        return list(ids)
    before, after = ends
    if most <= before + after:
        raise UserError(
            f"A text cut to {most} tokens would have none of its own: the tokenizer adds "
            f"{before + after}. Raise max_source or max_target."
        )
    return [*ids[: most - after], *ids[len(ids) - after :]]
