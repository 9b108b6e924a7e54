"""Where compiled kernels are kept for the next process: a folder of the user's own."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Unusable(Exception):
    """A compiled library, or the place for one, that is not used; says why."""


def cache_folder(sources: str, machine: str) -> Path:
    """Of one version of the kernels on one kind of machine.

    Args:
        sources: Hash of the sources.
        machine: As ``build.machine``.

    Raises:
        Unusable: The user has no folder for such things.
    """
    return _home() / "tokenexit" / "kernels" / f"{machine}-{sources[:16]}"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make a folder that only its owner writes to, and hold it alone.

    Raises:
        Unusable: It cannot be written to, or somebody else could put code there.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Unusable(
            f"{folder} cannot be written to ({error.strerror}): set XDG_CACHE_HOME to a place "
            "where compiled kernels can be kept"
        ) from error
    try:
        check_owner(folder)
        _wait(handle)
        yield
    finally:
        os.close(handle)


def check_owner(folder: Path) -> None:
    """Refuse code from a folder that anybody but its user and root writes to.

    Raises:
        Unusable: Somebody else could have put it there.
    """
    if os.name == "nt" or not folder.exists():
        return
    told = folder.stat()
    if told.st_uid not in (0, os.geteuid()) or told.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Unusable(f"{folder} is not safe: others than you may write to it")


def _wait(handle: int) -> None:
    """Until nobody else holds it; given back when the file is closed."""
    if os.name != "nt":
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX)


def _home() -> Path:
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given)
    if os.name == "nt" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local)
    try:
        home = Path.home()
    except RuntimeError as error:  # as of a number without a name in a container
        raise Unusable(
            "this user has no home folder: set XDG_CACHE_HOME to a place where compiled kernels "
            "can be kept"
        ) from error
    if sys.platform == "darwin":
        return home / "Library" / "Caches"
    return home / ".cache"
