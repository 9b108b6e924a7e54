"""A whole new model takes the place of the one in a folder, or none does."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from tokenexit.files import sync, sync_tree, usual_mode, writing
from tokenexit.models.folders.names import (
    CARD,
    MARKERS,
    WEIGHTS,
    holds_model,
    of_a_model,
)

_FRESH = ".model."


def replace_model(folder: Path, write: Callable[[Path], None]) -> None:
    """Write a model beside what a folder holds, then put it there.

    The file that makes the folder loadable goes first and comes back last, so a kill leaves the
    old model, the new one, or a folder that is refused. What an older model left is removed; all
    else in the folder, such as the files of a run, stays. No link in it is followed.

    Args:
        folder: Where the model goes.
        write: Writes all its files into an empty folder.

    Raises:
        UserError: Something cannot be written; the old model is still there, unless the new one
            was complete.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{_FRESH}*.partial"):  # by a save that was killed
            _remove(left)
        fresh = Path(tempfile.mkdtemp(".partial", _FRESH, folder))
        try:
            write(fresh)
            for path in fresh.rglob("*"):
                if path.is_file():
                    path.chmod(usual_mode())
            sync_tree(fresh)
            _place(fresh, folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def _place(fresh: Path, folder: Path) -> None:
    stale = _stale(folder, {path.name for path in fresh.iterdir()})
    for name in MARKERS:
        _remove(folder / name)
    sync(folder)
    for path in stale:
        _remove(path)
    for path in sorted(fresh.iterdir()):
        if path.is_dir() and not any((path / name).is_file() for name in MARKERS):
            _remove(folder / path.name)
            path.replace(folder / path.name)
        elif path.is_dir():  # a model of its own, perhaps beside the files of its run
            target = folder / path.name
            if target.is_symlink() or not target.is_dir():
                _remove(target)
                target.mkdir()
            _place(path, target)
        elif path.name not in MARKERS:
            if (folder / path.name).is_dir():
                _remove(folder / path.name)
            path.replace(folder / path.name)
    sync(folder)
    for name in MARKERS:
        if (fresh / name).is_file():
            (fresh / name).replace(folder / name)
    sync(folder)


def _stale(folder: Path, kept: set[str]) -> list[Path]:
    """What an older model has and the new one has not; last what tells that there was one."""
    if not holds_model(folder):
        return []
    kept = {*kept, CARD, *MARKERS}
    found = [path for path in folder.iterdir() if of_a_model(path.name) and path.name not in kept]
    return sorted(found, key=lambda path: (path.name == WEIGHTS, path.name))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
