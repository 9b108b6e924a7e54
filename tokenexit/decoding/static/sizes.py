"""Few sizes of memory instead of many, so that a capture serves more than one batch."""

from __future__ import annotations

from typing import NamedTuple

from tokenexit.errors import UserError
from tokenexit.static.buckets import bucket, power

FIRST_PLACES = 32
"""Places of the smallest bucket of lengths."""

BEGIN_PLACES = 128
"""Places that memory has to begin with at most; a longer text moves to larger memory."""

MOST_PLACES = 4096
"""Places of the largest bucket."""

MOST_SOURCE = 8192
"""Tokens of a source at most."""

MOST_ROWS = 1024
"""Sequences at most."""


class Sizes(NamedTuple):
    """What memory is made for.

    Attributes:
        sources: ``B``.
        lanes: Sequences of each source, ``R = B * lanes``.
        places: Tokens a sequence, ``M``.
        read: Tokens a source, ``S``.
    """

    sources: int
    lanes: int
    places: int
    read: int

    @property
    def rows(self) -> int:
        """Sequences, ``R``."""
        return self.sources * self.lanes

    def longer(self) -> Sizes:
        """The same with room for twice the tokens.

        Raises:
            UserError: Nothing is longer.
        """
        check_places(self.places + 1)
        return self._replace(places=2 * self.places)


def sizes_for(sources: int, lanes: int, read: int, steps: int | None) -> Sizes:
    """The smallest that holds a batch.

    Args:
        sources: How many.
        lanes: Sequences of each.
        read: Tokens of the longest source.
        steps: Tokens that will be written at most, where that is known.

    Raises:
        UserError: It is larger than the largest bucket.
    """
    if sources * lanes > MOST_ROWS:
        raise _refused(
            f"{MOST_ROWS} sequences at once, and there are {sources * lanes}",
            "a smaller batch_size, or fewer beams or samples of each source",
        )
    if read > MOST_SOURCE:
        raise _refused(f"sources of {MOST_SOURCE} tokens, and one has {read}", "a shorter one")
    check_places(steps or 0)
    places = min(max(steps or FIRST_PLACES, FIRST_PLACES), BEGIN_PLACES)
    return Sizes(bucket(sources), lanes, power(places), max(power(read), 8))


def check_places(places: int) -> None:
    """Refuse texts that are longer than the largest bucket.

    Raises:
        UserError: Says what to do.
    """
    if places > MOST_PLACES:
        raise _refused(
            f"texts of {MOST_PLACES} tokens, and one may have {places}",
            "a smaller max_new_tokens or max_length",
        )


def width_for(length: int) -> int:
    """Places that attention reads so that ``length`` of them are there."""
    return max(power(length), FIRST_PLACES)


def _refused(what: str, instead: str) -> UserError:
    return UserError(
        f'runtime="static" holds at most {what}: choose {instead}, or runtime="eager".'
    )
