"""Files on a disk and of the Hub, opened to be read from any place."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from tokenexit.errors import UserError

HUB = "hf://"
DAMAGED = "It may be damaged, cut off or encrypted: fetch or write it again."


def open_file(path: str) -> BinaryIO:
    """A file to read from, unpacked if it ends in ``.gz``.

    Args:
        path: On this machine, or ``hf://`` and a place on the Hub, of which only what is read is
            fetched.
    """
    packed = path.lower().endswith(".gz")
    if not path.startswith(HUB):
        return cast(BinaryIO, gzip.open(path) if packed else open(path, "rb"))
    from huggingface_hub import HfFileSystem

    file: Any = HfFileSystem().open(path, "rb")
    return cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file


def stamp_of(path: str) -> dict[str, int]:
    """What changes when a file does; on the Hub that is the commit, which is part of its path."""
    if path.startswith(HUB):
        return {}
    with explained(path):
        found = Path(path).stat()
    return {"size": found.st_size, "mtime_ns": found.st_mtime_ns}


@contextmanager
def explained(path: str) -> Iterator[None]:
    """Say in one line why a file cannot be read.

    Raises:
        UserError: Names the file, the reason and the way out.
    """
    try:
        yield
    except UserError:
        raise
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path} cannot be unpacked: {error}. {DAMAGED}") from error
    except OSError as error:
        # pyarrow raises these for damaged content as well, without a number.
        why = error.strerror if error.errno else brief(error)
        raise UserError(
            f"{path} cannot be read: {why}. {'' if error.errno else DAMAGED}"
        ) from error


def brief(error: BaseException) -> str:
    """The first line of what went wrong, without its stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:200]
