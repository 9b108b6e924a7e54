"""What a folder held when it was saved: noted in ``exit_config.json``, compared when loaded."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenexit.errors import UserError
from tokenexit.models.persistence.names import CARD, MARKERS, WEIGHTS, holds_weights

logger = logging.getLogger(__name__)

FILES = "files"
_UNNOTED = (*MARKERS, CARD)
_UNCOMPARED = ("tokenizer_config.json",)
"""transformers writes it otherwise after loading than before."""

_BLOCK = 1 << 22


def contents_of(folder: Path) -> dict[str, str]:
    """Names of the files a model was saved to, each with the CRC-32 of its content."""
    found = sorted(path for path in folder.iterdir() if path.is_file())
    return {
        path.name: "" if path.name in _UNCOMPARED else checksum(path)
        for path in found
        if path.name not in _UNNOTED
    }


def check_contents(folder: Path, noted: Any) -> None:
    """Refuse a folder that lacks a file it was saved with; tell of those that were changed.

    A network may have been cut into shards or cast since, so its weights may have another name.

    Args:
        folder: The model folder.
        noted: What ``contents_of`` said when it was saved; older folders say nothing.

    Raises:
        UserError: A file is missing, or what was noted is damaged.
    """
    if noted is None:
        return
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
    changed = [
        name
        for name, told in noted.items()
        if told and (folder / name).is_file() and checksum(folder / name) != told
    ]
    if changed:
        logger.warning(
            "%s: %s changed since the model was saved, so its answers may differ. Save the model "
            "again if that is meant; else copy the folder again.",
            folder,
            ", ".join(changed),
        )


def checksum(path: Path) -> str:
    """CRC-32 of a file, in eight digits."""
    total = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            total = zlib.crc32(block, total)
    return f"{total:08x}"


def without_weights(path: Path) -> UserError:
    """The error for a folder without heads."""
    return UserError(
        f"{path} is missing, so the exits have no weights. The folder is incomplete; copy it "
        "again, or train anew."
    )
