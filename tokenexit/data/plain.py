"""Text files as one string, or an error that names the line and the encoding."""

from __future__ import annotations

import codecs
import gzip
import zlib
from contextlib import suppress
from pathlib import Path

from tokenexit.data.characters import whole_characters
from tokenexit.errors import UserError

_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_SAMPLE = 4096


def read_plain(path: Path) -> str:
    """The text of a UTF-8 file, unpacked if it ends in ``.gz``; line ends stay as they are.

    Surrogates, which have no place in UTF-8, become U+FFFD, or two of them their character.

    Raises:
        UserError: It is not UTF-8, or not what gzip writes.
    """
    data = _unpacked(path) if path.suffix.lower() == ".gz" else path.read_bytes()
    encoding = _other_encoding(data)
    if encoding:
        raise UserError(f"{path} is not UTF-8 text: it looks like {encoding}. {_advice(encoding)}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        with suppress(UnicodeDecodeError):  # halves of characters, as some programs write them
            return whole_characters(data.decode("utf-8-sig", "surrogatepass"))
        # A mark at the beginning does not count in the error's place; lines do not change.
        line = error.object[: error.start].count(b"\n") + 1
        raise UserError(
            f"{path}, line {line}: not UTF-8 text (byte 0x{error.object[error.start]:02x}: "
            f"{error.reason}). {_way_out(data)}"
        ) from error


def lines_of(text: str) -> list[str]:
    """Lines without their ends (LF, CR LF or CR), and without an empty last one."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1] if not lines[-1] else lines


def _unpacked(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(
            f"{path} cannot be unpacked: {error}. It is cut off, damaged or no gzip file; fetch or "
            "write it again."
        ) from error


def _other_encoding(data: bytes) -> str | None:
    for mark, name in _MARKS:
        if data.startswith(mark):
            return name
    # UTF-16 without a mark: every second byte of Latin text is zero.
    head = data[:_SAMPLE]
    halves = head[::2], head[1::2]
    zeros = [half.count(0) for half in halves]
    if len(head) >= 8 and max(zeros) > 0.6 * len(halves[0]) and min(zeros) < 0.1 * len(halves[0]):
        return "UTF-16"
    return None


def _way_out(data: bytes) -> str:
    good = data.decode("utf-8", "ignore")
    sound = sum(character > "\x7f" for character in good)
    if sound > len(data) - len(good.encode()):
        return "The rest of the file is UTF-8, so that byte is damaged: mend or drop the line."
    control = any(0x80 <= byte < 0xA0 for byte in data)
    return _advice("Windows-1252" if control else "ISO-8859-1 (Latin-1)")


def _advice(encoding: str) -> str:
    name = encoding.split()[0]
    return (
        f"Save it as UTF-8; if it is {encoding}: iconv -f {name} -t UTF-8 FILE > FILE.new does so."
    )
