"""Where compiled kernels are kept for the next process: a folder of the user's own.

The user's cache, or a private folder beside other temporary ones where that cannot serve.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Unusable(Exception):
    """A compiled library, or the place for one, that is not used; says why."""


class Unloadable(Unusable):
    """A library that is whole and fits, and that this system does not load: another would not."""


def usable_folders(sources: str, machine: str) -> tuple[list[Path], list[str]]:
    """Folders from which a library may be loaded, the best first, and why others are none.

    Args:
        sources: Hash of the sources.
        machine: As ``build.machine``.
    """
    found, reasons = [], []
    for place in (cache_folder, private_folder):
        try:
            folder = place(sources, machine)
            check_owner(folder)
            check_executable(folder)
        except Unusable as error:
            reasons.append(str(error))
        else:
            found.append(folder)
    return found, reasons


def private_folder(sources: str, machine: str) -> Path:
    """As ``cache_folder``, among temporary files: it goes when those do.

    Raises:
        Unusable: Others could put another folder in its place.
    """
    top = Path(tempfile.gettempdir())
    mode = top.stat().st_mode
    if os.name != "nt" and mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise Unusable(f"{top} is not safe: others than you may rename what is yours there")
    user = os.getuid() if hasattr(os, "getuid") else "own"
    return top / f"tokenexit-{user}" / "kernels" / f"{machine}-{sources[:16]}"


def check_executable(folder: Path) -> None:
    """Refuse a folder on a disk from which nothing may be executed.

    Raises:
        Unusable: It is mounted so.
    """
    there = next((path for path in (folder, *folder.parents) if path.exists()), None)
    if there is not None and _without_execution(there):
        raise Unusable(f"nothing may be executed from {folder} (mounted noexec)")


def _without_execution(folder: Path) -> bool:
    if not hasattr(os, "statvfs"):
        return False
    return bool(os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0))


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
        _make(folder)
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
    if os.name == "nt":
        return
    # Whoever may write to a folder above could put another in its place. Of a link its owner
    # counts, who may turn it elsewhere.
    above = [(path, path.lstat()) for path in _inside_temporary(folder) if os.path.lexists(path)]
    for path, told in [*above, *([(folder, folder.stat())] if folder.exists() else [])]:
        open_to_all = told.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if told.st_uid not in (0, os.geteuid()) or (open_to_all and not stat.S_ISLNK(told.st_mode)):
            raise Unusable(f"{path} is not safe: others than you may write to it")


def _inside_temporary(folder: Path) -> list[Path]:
    """Folders above one, up to that of all users' temporary files; none elsewhere."""
    top = Path(tempfile.gettempdir())
    return [path for path in folder.parents if path != top and path.is_relative_to(top)]


def _make(folder: Path) -> None:
    """Make a folder and those above it, for its owner alone."""
    if not folder.parent.exists():
        _make(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


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
