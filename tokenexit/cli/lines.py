"""Lines of a file or a pipe as they arrive."""

from __future__ import annotations

import io
import select
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenexit.errors import UserError

_CHUNK = 1 << 16  # bytes asked for at once; a pipe gives what it has


class Lines:
    """Lines of a text file, a pipe or standard input, empty ones included.

    Args:
        file: A path; ``-`` for standard input.

    Raises:
        UserError: There is no such file, or it is one that cannot be read as UTF-8 text.
    """

    def __init__(self, file: str) -> None:
        self._name = file
        path = Path(file)
        if file != "-" and (not path.exists() or path.is_dir()):
            what = f"{file!r} is a folder" if path.is_dir() else f"There is no file {file!r}"
            raise UserError(f"{what}; give a text file, or - for standard input.")
        self.total: int | None = None
        """Lines there will be, where that can be told."""
        if file != "-" and path.is_file():  # a mistake in it is told before anything is computed
            self.total = sum(len(block) for block in self.blocks(_CHUNK))

    def blocks(self, size: int) -> Iterator[list[str]]:
        """Up to ``size`` lines at a time, in order.

        What has arrived is not kept back for what has not: a block of a pipe is as long as it is
        when the pipe is empty.
        """
        try:
            with self._open() as source:
                yield from self._blocks(source, size)
        except OSError as error:
            raise UserError(f"{self._name!r} cannot be read: {error.strerror}.") from error

    def _open(self) -> Any:
        if self._name != "-":
            return io.FileIO(self._name)
        try:
            # Without a buffer, whose lock would be held while nothing comes.
            return io.FileIO(sys.stdin.fileno(), closefd=False)
        except (OSError, ValueError, AttributeError):  # a standard input that is no file
            return io.BytesIO(sys.stdin.buffer.read())

    def _blocks(self, source: Any, size: int) -> Iterator[list[str]]:
        block: list[str] = []
        parts: list[bytes] = []  # of a line whose end is to come
        number = 0
        while chunk := source.read(_CHUNK):
            *ends, rest = chunk.split(b"\n")
            for end in ends:
                line = b"".join((*parts, end))
                parts.clear()
                # Not splitlines: form feeds and the like stand inside lines.
                block.append(self._text(line.removesuffix(b"\r"), number))
                number += 1
                if len(block) == size:
                    yield block
                    block = []
            parts.append(rest)
            if block and not _more(source):
                yield block
                block = []
        if last := b"".join(parts):
            block.append(self._text(last, number))
        if block:
            yield block

    def _text(self, line: bytes, number: int) -> str:
        try:
            return line.decode("utf-8" if number else "utf-8-sig")
        except UnicodeDecodeError as error:
            raise UserError(
                f"{self._name!r} cannot be read as UTF-8 text: line {number + 1}: {error}."
            ) from error


def _more(source: Any) -> bool:
    """Whether something can be read at once, the end included."""
    if isinstance(source, io.BytesIO):
        return True
    try:
        return bool(select.select([source], [], [], 0)[0])
    except (OSError, ValueError):  # Windows asks sockets alone
        return False
