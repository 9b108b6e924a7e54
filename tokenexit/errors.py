"""Errors that tell a user what was given, what is allowed and what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

# Control characters but tabs and line ends; marks that turn the direction of writing or break
# lines; halves of surrogate pairs, which no terminal can be sent.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: object) -> str:
    """Text that does nothing to a terminal: what would is written as its escape.

    Whoever made a model or a data set chose its labels and file names, and a terminal obeys
    control characters in them.

    Args:
        text: Of unknown origin; tabs and line ends are kept.
    """
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], str(text))


class UserError(ValueError):
    """A mistake in something the user gave: a name, a value, a file.

    The command line prints the message alone and ends with exit code 2.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


def close_name(given: object, names: Iterable[str]) -> str | None:
    """The name that somebody meant, however they wrote it in capitals and small letters.

    Args:
        given: What they wrote.
        names: Every name there is.
    """
    small = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(str(given).casefold(), small, n=1)
    return small[close[0]] if close else None


def check_names(kind: str, given: Iterable[object], allowed: Iterable[str]) -> None:
    """Refuse names that do not exist, as ``unknown_name`` says it of the first.

    Args:
        kind: What the names stand for.
        given: What the user wrote, such as the keys of a mapping.
        allowed: Every name there is.

    Raises:
        UserError: One of them is not allowed.
    """
    names = tuple(allowed)
    for name in given:
        if name not in names:
            raise unknown_name(kind, name, names)


def unknown_name(kind: str, given: object, allowed: Iterable[str]) -> UserError:
    """Build the error for a name that does not exist, with the nearest one that does.

    Args:
        kind: What the name stands for, such as ``"policy"``.
        given: What the user wrote.
        allowed: Every name that would have been accepted.
    """
    names = sorted(allowed)
    nearest = close_name(given, names)
    hint = "" if nearest is None else f" Did you mean {nearest!r}?"
    listing = ", ".join(names) if names else "none is registered"
    return UserError(f"Unknown {kind} {given!r}.{hint} Available: {listing}.")
