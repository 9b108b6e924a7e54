"""A user's mistake ends a program with one message, not a traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from tokenexit.errors import UserError
from tokenexit.extras import is_optional, missing


@contextmanager
def friendly_errors() -> Iterator[None]:
    """Turn a ``UserError`` into one message on stderr and exit code 2.

    Serves as ``with friendly_errors():`` and, with the brackets, as a decorator of ``main``.
    """
    try:
        yield
    except UserError as error:
        _end(error)
    except ModuleNotFoundError as error:
        if not is_optional(error.name):
            raise
        _end(missing(error.name))


def _end(error: UserError) -> NoReturn:
    sys.stderr.write(f"Error: {error}\n")
    raise SystemExit(2) from None
