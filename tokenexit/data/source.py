"""From what a user wrote after ``data=`` to splits: a file, a folder or a Hub id."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tokenexit.data.files import FORMATS, read_file
from tokenexit.data.layout import find_splits
from tokenexit.errors import UserError

if TYPE_CHECKING:
    from datasets import Dataset

_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


def load_splits(
    source: str | Path, name: str | None = None, revision: str | None = None
) -> dict[str, Dataset]:
    """Load every split of a data set.

    Args:
        source: An existing file (gives one split called ``all``), else an existing folder (with
            train, validation and test files, or made by ``save_to_disk``), else a Hub id.
        name: A sub-folder of the folder, or the configuration of a Hub data set.
        revision: Branch, tag or commit of a Hub data set.

    Raises:
        UserError: Nothing is there, it cannot be read, or the Hub cannot be reached.
    """
    path = Path(source).expanduser()
    if path.exists() and str(source):  # "" would be the current folder
        if revision is not None:
            raise UserError(
                f"revision={revision!r} is for Hub data sets, but {source} is a local path; "
                "leave revision out."
            )
        if path.is_file():
            if name is not None:
                raise UserError(f"name={name!r} is for folders and Hub ids; {source} is a file.")
            return {"all": read_file(path)}
        return _load_folder(path, name)
    if _must_be_local(str(source)):
        raise UserError(
            f"The path {str(source)!r} does not exist. Give an existing file, a folder with "
            "train, validation and test files, or a Hub id such as owner/name."
        )
    return _load_hub(str(source), name, revision)


def _must_be_local(source: str) -> bool:
    return (
        source.startswith((".", "~", "/"))
        or not _HUB_ID.fullmatch(source)
        or Path(source).suffix.lower() in FORMATS
        or ("/" in source and Path(source).parent.is_dir())
    )


def _load_folder(folder: Path, name: str | None) -> dict[str, Dataset]:
    from datasets import concatenate_datasets, load_from_disk

    if name is not None:
        inside = sorted(p.name for p in folder.iterdir() if p.is_dir())
        if name not in inside:
            raise UserError(
                f"{folder} has no sub-folder {name!r}; there is: {', '.join(inside) or 'none'}."
            )
        folder = folder / name
    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        loaded = load_from_disk(str(folder))
        return dict(loaded) if isinstance(loaded, dict) else {"all": loaded}  # pyright: ignore
    splits = {}
    for split, paths in find_splits(folder).items():
        try:
            splits[split] = concatenate_datasets([read_file(path) for path in paths])
        except ValueError as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"{folder}: the shards of {split} do not match: {error}") from error
    return splits


def _load_hub(source: str, name: str | None, revision: str | None) -> dict[str, Dataset]:
    import datasets
    from datasets.exceptions import DatasetNotFoundError

    head = f"{source!r} is neither a file nor a folder here"
    local = "pass data= a folder or file that holds the data (parquet, JSONL, CSV, CoNLL)"
    try:
        loaded = datasets.load_dataset(source, name, revision=revision)
    except DatasetNotFoundError as error:
        raise UserError(
            f"{head}, and the Hub has no such data set (or it is private, or the revision is "
            f"wrong): {_first_line(error)} Check the spelling, or {local}."
        ) from error
    except RuntimeError as error:  # data sets that are Python scripts
        raise UserError(
            f"The Hub data set {source!r} cannot be loaded: {_first_line(error)} If it is "
            "a script, revision=refs/convert/parquet often holds the same data as files; "
            f"or {local}."
        ) from error
    except ValueError as error:
        raise UserError(
            f"The Hub data set {source!r} cannot be loaded with name={name!r}: {error}"
        ) from error
    except (OSError, ImportError) as error:  # ConnectionError, offline mode, timeouts
        raise UserError(
            f"{head}, and the Hub cannot be reached ({_first_line(error)}). Without a network, "
            f"{local}."
        ) from error
    return dict(loaded)  # pyright: ignore


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
