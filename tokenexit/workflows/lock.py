"""One writer a folder: a lock that ends with its process, however that ends."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tokenexit.errors import UserError
from tokenexit.files import writing

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK = ".lock"
_BUSY = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK)


@contextmanager
def locked(folder: str | Path, doing: str = "a run") -> Iterator[None]:
    """Keep others from writing into a folder while the block runs.

    A folder that had to be made for it, and is empty afterwards, is removed again.

    Args:
        folder: The folder; need not exist.
        doing: What the others are told goes on there.

    Raises:
        UserError: Another process writes there, or nobody can.
    """
    folder = Path(folder)
    if fcntl is None:
        yield
        return
    made = _make(folder)
    try:
        handle = _take(folder / LOCK, doing)
        try:
            yield
        finally:
            if handle is not None:
                (folder / LOCK).unlink(missing_ok=True)  # while it is held: nobody else's
                os.close(handle)
    finally:
        for path in made:
            with suppress(OSError):  # not empty
                path.rmdir()


def _make(folder: Path) -> list[Path]:
    """Make a folder; what had to be made for it, innermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return missing


def _take(path: Path, doing: str) -> int | None:
    """The open lock file; None on a file system that has no locks."""
    assert fcntl is not None
    while True:
        with writing(path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            told = os.pread(handle, 200, 0).decode(errors="replace").strip()
            os.close(handle)
            if error.errno not in _BUSY:
                return None
            process, _, what = told.partition(" ")
            raise UserError(
                f"{path.parent} is being written by {what or 'a run'} (process {process or '?'}). "
                "Wait until it ends, stop it, or give another folder."
            ) from error
        if _same_file(handle, path):
            with suppress(OSError):  # a full disk: only the message would be the poorer
                os.ftruncate(handle, 0)
                os.write(handle, f"{os.getpid()} {doing}\n".encode())
            return handle
        os.close(handle)


def _same_file(handle: int, path: Path) -> bool:
    """Whether the file that was locked still has its name; its last owner may have removed it."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    mine = os.fstat(handle)
    return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)
