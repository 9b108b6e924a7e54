"""Files are written whole or not at all, and never through somebody else's link.

A kill or a power cut at any moment leaves the old file or the new one.
"""

from __future__ import annotations

import csv
import errno
import io
import json
import math
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from tokenexit.errors import UserError

_NUMBER = re.compile(r"\(os error (\d+)\)")  # as libraries in Rust tell it
# Inside strings, for JSON has none of them outside; the other control characters it escapes.
_UNSEEN = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_TORCH = ("inline_container", "PyTorchStreamWriter")  # whose writer never tells why it failed
_FULL = 1 << 20  # bytes: with less than that left, a failure to write is the disk's


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """A path to write to, whose content takes the place of ``path`` when the block ends well.

    The file reaches the disk before it gets its name, and has the mode of any new file. A link
    that stands at ``path`` is replaced, not followed.

    Raises:
        UserError: The file cannot be written; says why and what to do.
    """
    path = Path(path)
    partial: Path | None = None
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(".partial", f".{path.name}.", path.parent)
            partial = Path(name)
            os.close(handle)
            yield partial
            partial.chmod(usual_mode())
            sync(partial)
            partial.replace(path)
            partial = None
            sync(path.parent)
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


@contextmanager
def output(path: Path | str) -> Iterator[TextIO]:
    """Text for a place that the user names: a file whole or not at all, a pipe or terminal at once.

    Raises:
        UserError: As ``check_output`` and ``replacing``.
    """
    path = Path(path)
    if _is_stream(path):
        with writing(path), _opened(path) as out:
            yield out
        return
    check_output(path)
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as out:
        yield out


def check_output(path: Path | str) -> None:
    """Refuse a place that cannot be written to, before there is anything to lose.

    Raises:
        UserError: Says why and what to do.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path} is a folder; give the name of a file.")
    if not _is_stream(path):
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=path.parent).close()


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text, whole; half a surrogate pair as its escape.

    Raises:
        UserError: As ``replacing``.
    """
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")


def write_json(path: Path | str, data: Any) -> None:
    """Write JSON, whole.

    Raises:
        UserError: As ``replacing``.
    """
    write_text(path, to_json(data, indent=2) + "\n")


def write_csv(path: Path | str, names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a table with a header, whole.

    Raises:
        UserError: As ``replacing``.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def to_json(data: Any, indent: int | None = None) -> str:
    """Valid JSON: a number that is none (NaN, infinity) becomes null."""
    return json.dumps(_finite(data), indent=indent, ensure_ascii=False, allow_nan=False)


def json_line(data: Any) -> str:
    """Valid JSON on one line; what a terminal would obey, or break lines at, is escaped."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", to_json(data))


def clear_partials(folder: Path) -> None:
    """Remove what killed writers left in a folder. For who alone writes there."""
    for path in folder.glob(".*.partial"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def usual_mode() -> int:
    """The mode of any new file."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    with suppress(PermissionError):  # Windows does not open folders
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno != errno.EINVAL:  # file systems that cannot
                raise
        finally:
            os.close(handle)


def sync_tree(folder: Path) -> None:
    """Wait until a folder with all that is in it is on the disk."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if not path.is_symlink():
            sync(path)
    sync(folder)


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Say in one line why a file or folder cannot be written.

    Serves libraries as well, which say in their own ways that a disk is full.

    Raises:
        UserError: Names the path, the reason and the way out.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        told = _reason(Path(path), error)
        if told is None:
            raise
        raise UserError(told) from error


def _is_stream(path: Path) -> bool:
    """Whether a path is a pipe, a terminal or a device, which stays what it is."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    if stat.S_ISLNK(mode):  # /dev/stdout is one, to whatever that is
        return path.parent.resolve().parts[1:2] in (("dev",), ("proc",)) and not path.is_dir()
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def _opened(path: Path) -> TextIO:
    """A stream to write to; standard output goes on where it is."""
    for number in (1, 2):
        with suppress(OSError):
            if os.path.samestat(path.stat(), os.fstat(number)):
                return os.fdopen(os.dup(number), "w", 1, encoding="utf-8")
    return path.open("w", 1, encoding="utf-8")  # a line at a time


def _reason(path: Path, error: Exception) -> str | None:
    number = getattr(error, "errno", None)
    if number is None and (told := _NUMBER.search(str(error))):
        number = int(told[1])
    full = number in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error)
    if full or (number is None and _space(path) < _FULL):
        return f"{path} cannot be written: the disk is full. Make room and start again."
    if number is None and any(name in str(error) for name in _TORCH):
        return (
            f"{path} cannot be written whole: a quota or a limit on the size of files (ulimit -f) "
            "is in the way. Raise it, or give another place."
        )
    if number is None and not isinstance(error, OSError):
        return None
    why = type(error).__name__ if number is None else os.strerror(number)
    return f"{path} cannot be written: {why}. Give a place where you may write."


def _space(path: Path) -> int:
    """Bytes left on the disk where a path would be."""
    for folder in (path, *path.parents):
        with suppress(OSError):
            return shutil.disk_usage(folder).free
    return _FULL


def _finite(data: Any) -> Any:
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, Mapping):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return data
