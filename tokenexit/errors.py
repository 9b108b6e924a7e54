"""Errors that tell a user what was given, what is allowed and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake in something the user gave: a name, a value, a file.

    The command line prints the message alone and ends with exit code 2.
    """


def unknown_name(kind: str, given: object, allowed: Iterable[str]) -> UserError:
    """Build the error for a name that does not exist, with the nearest one that does.

    Args:
        kind: What the name stands for, such as ``"policy"``.
        given: What the user wrote.
        allowed: Every name that would have been accepted.
    """
    names = sorted(allowed)
    close = difflib.get_close_matches(str(given), names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    listing = ", ".join(names) if names else "none is registered"
    return UserError(f"Unknown {kind} {given!r}.{hint} Available: {listing}.")
