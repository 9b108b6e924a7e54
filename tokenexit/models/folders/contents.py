"""What a folder held when it was saved: noted in ``exit_config.json``, compared when loaded."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenexit.errors import UserError
from tokenexit.models.folders.names import CARD, MARKERS, WEIGHTS, holds_weights
from tokenexit.models.folders.plain import read_json

FILES = "files"
_UNNOTED = (*MARKERS, CARD)
_TOKENIZER = "tokenizer_config.json"
_PASSING = ("is_local", "local_files_only", "name_or_path", "tokenizer_file", "vocab_file")
"""Entries of it that tell where a tokenizer was loaded from, not what it is."""

_TEXT = (".json", ".txt", ".jinja")  # whose line ends a checkout may change
_BLOCK = 1 << 22


def contents_of(folder: Path) -> dict[str, str]:
    """Names of the files a model was saved to, each with the CRC-32 of its content."""
    found = sorted(path for path in folder.iterdir() if path.is_file())
    return {path.name: checksum(path) for path in found if path.name not in _UNNOTED}


def check_contents(folder: Path, noted: Any) -> list[str] | None:
    """Refuse a folder that lacks a file it was saved with, and find those that were changed.

    A network may have been cut into shards or cast since, so its weights may have another name.

    Args:
        folder: The model folder.
        noted: What ``contents_of`` said when it was saved; older folders say nothing.

    Returns:
        Files that are not as they were saved; None where that is not known.

    Raises:
        UserError: A file is missing, or what was noted is damaged.
    """
    if noted is None:
        return None
    if not isinstance(noted, Mapping) or not all(
        Path(name).name == name and isinstance(told, str) for name, told in noted.items()
    ):
        raise UserError(f"{folder}: the list of files in its settings is damaged. Copy it again.")
    missing = [n for n in noted if not holds_weights(n) and not (folder / n).is_file()]
    if WEIGHTS in missing:
        raise without_weights(folder / WEIGHTS)
    if missing:
        raise UserError(
            f"The model {str(folder)!r} cannot be loaded: it lacks {', '.join(missing)}, with "
            "which it was saved. Copy the folder again."
        )
    return [
        name
        for name, told in noted.items()
        if (folder / name).is_file() and checksum(folder / name) != told
    ]


def changed_since(folder: Path, names: Sequence[str]) -> UserError:
    """The error for files that are not those a model was saved with.

    Heads, thresholds and measured figures belong to the network and tokenizer of then.
    """
    marker = next(name for name in MARKERS if (folder / name).is_file())
    return UserError(
        f"The model {str(folder)!r} cannot be loaded: {', '.join(names)} changed since it was "
        "saved, so its answers would not be those that were measured. Copy the folder again; if "
        f'the change is meant, delete the entry "{FILES}" of {marker}, load the model and save it '
        "again."
    )


def checksum(path: Path) -> str:
    """CRC-32 of what a file says, in eight digits."""
    total = 0
    for block in _said(path):
        total = zlib.crc32(block, total)
    return f"{total:08x}"


def fingerprint(path: Path) -> str:
    """SHA-256 of the same, which nobody can find another file for."""
    found = hashlib.sha256()
    for block in _said(path):
        found.update(block)
    return found.hexdigest()


def _said(path: Path) -> Iterator[bytes]:
    if path.name == _TOKENIZER:
        data = {key: value for key, value in read_json(path).items() if key not in _PASSING}
        yield json.dumps(data, sort_keys=True).encode()
    elif path.suffix in _TEXT:
        yield path.read_bytes().replace(b"\r\n", b"\n")
    else:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block


def without_weights(path: Path) -> UserError:
    """The error for a folder without heads."""
    return UserError(
        f"{path} is missing, so the exits have no weights. The folder is incomplete; copy it "
        "again, or train anew."
    )
