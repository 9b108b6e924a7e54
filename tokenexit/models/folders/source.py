"""Where a model folder is: here, or on the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from tokenexit.errors import UserError


def resolve(source: str | Path, **hub: Any) -> Path:
    """A local folder for a folder or a Hub id.

    Raises:
        UserError: There is no such folder, and the Hub cannot be reached or has no such model.
    """
    path = Path(source)
    if path.is_dir():
        return path
    if path.exists() or str(source).startswith((".", "/", "~")) or str(source).count("/") > 1:
        raise UserError(f"{str(source)!r} is not a folder. Give a model folder or a Hub id.")
    try:
        return Path(snapshot_download(str(source), **hub))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"{str(source)!r} is not a folder here, and it could not be fetched from the Hub "
            f"({type(error).__name__}). Check the name and the network, or give a local folder."
        ) from error
