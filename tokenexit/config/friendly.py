"""A user's mistake ends a program with one message, not a traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tokenexit.errors import UserError


@contextmanager
def friendly_errors() -> Iterator[None]:
    """Turn a ``UserError`` into one message on stderr and exit code 2.

    Serves as ``with friendly_errors():`` and, with the brackets, as a decorator of ``main``.
    """
    try:
        yield
    except UserError as error:
        sys.stderr.write(f"Error: {error}\n")
        raise SystemExit(2) from None
