"""One run an output folder, however many processes it has and however they end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tokenexit.errors import UserError
from tokenexit.evaluation.processes import agree, is_main, state
from tokenexit.workflows.corpus.plan import MANIFEST
from tokenexit.workflows.lock import LOCK, locked

RUNNING = ".running"
"""Folder with one locked folder for each process but the main one, which may end before them."""

_DOING = "a run of predict"


@contextmanager
def taken(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder while any process of this one is at work.

    For every process of a run.

    Raises:
        UserError: Another run is at work there, or the folder holds something else.
    """
    with ExitStack() as stack:
        agree(lambda: _take(folder, stack) if is_main() else None)
        stack.callback(_tidy, folder)
        agree(lambda: None if is_main() else _join(folder, stack))
        yield


def _take(folder: Path, stack: ExitStack) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"The output folder {str(folder)!r} is a file; give a folder.")
    stack.enter_context(locked(folder, _DOING))
    inside = {path.name for path in folder.iterdir()}
    if MANIFEST not in inside and inside - {LOCK, RUNNING}:
        raise UserError(
            f"The output folder {str(folder)!r} is not empty and holds no predictions of a corpus. "
            "Give another folder."
        )
    for place in sorted((folder / RUNNING).glob("*")):
        with locked(place, _DOING):  # refused while a process of another run is at work
            pass
        with suppress(OSError):
            place.rmdir()
    _tidy(folder)


def _tidy(folder: Path) -> None:
    with suppress(OSError):  # others are still there, or nobody ever was
        (folder / RUNNING).rmdir()


def _join(folder: Path, stack: ExitStack) -> None:
    stack.enter_context(locked(folder / RUNNING / str(state().process_index), _DOING))
