"""From what a user wrote after ``data=`` to splits: a file, a folder or a Hub id."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tokenexit.data.arrow import from_dataset
from tokenexit.data.files import format_of, read_file
from tokenexit.data.layout import find_splits
from tokenexit.data.memory import Memory
from tokenexit.data.table import Table, joined, shown
from tokenexit.errors import UserError
from tokenexit.extras import require_libraries

_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


def load_splits(
    source: str | Path | Memory, name: str | None = None, revision: str | None = None
) -> dict[str, Table]:
    """Load every split of a data set.

    Args:
        source: An existing file (gives one split called ``all``), else an existing folder (with
            train, validation and test files, or made by ``save_to_disk``), else a Hub id; or
            data in memory.
        name: A sub-folder of the folder, or the configuration of a Hub data set.
        revision: Branch, tag or commit of a Hub data set.

    Raises:
        UserError: Nothing is there, it cannot be read, or the Hub cannot be reached.
    """
    if isinstance(source, Memory):
        return dict(source.tables)
    if not isinstance(source, str | os.PathLike):
        raise UserError(
            f"data must be a file, a folder or a Hub id such as owner/name, not {shown(source)}."
        )
    path = local_path(Path(source) if isinstance(source, os.PathLike) else source)
    if path is not None:
        if revision is not None:
            raise UserError(
                f"revision={revision!r} is for Hub data sets, but {source} is a local path; "
                "leave revision out."
            )
        if path.is_file():
            if name is not None:
                raise UserError(f"name={name!r} is for folders and Hub ids; {source} is a file.")
            return {"all": read_file(path)}
        if not path.is_dir():
            raise UserError(
                f"{source} is neither a file nor a folder but a device or a pipe, which cannot be "
                "read twice. Write the data to a file first."
            )
        try:
            return _load_folder(path, name)
        except OSError as error:
            raise UserError(f"{source} cannot be read: {error.strerror or error}.") from error
    if not is_hub_id(str(source)):
        raise UserError(
            f"The path {str(source)!r} does not exist. Give an existing file, a folder with "
            "train, validation and test files, or a Hub id such as owner/name."
        )
    return _load_hub(str(source), name, revision)


def local_path(source: str | Path) -> Path | None:
    """The path, if something is there.

    Raises:
        UserError: It cannot be looked up.
    """
    if not str(source):  # it would be the current folder
        return None
    try:
        path = Path(source).expanduser()
        return path if path.exists() else None
    except (OSError, ValueError, RuntimeError) as error:
        # A name too long, no permission, a null byte, the home of nobody.
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(
            f"The path {shown(str(source))} cannot be looked up: {reason}. Give an existing file "
            "or folder, or a Hub id such as owner/name."
        ) from error


def is_hub_id(source: str) -> bool:
    """Whether what is no file or folder here can be a data set of the Hub."""
    return not (
        source.startswith((".", "~", "/"))
        or not _HUB_ID.fullmatch(source)
        or format_of(Path(source)) is not None
        or ("/" in source and Path(source).parent.is_dir())
    )


def _load_folder(folder: Path, name: str | None) -> dict[str, Table]:
    if name is not None:
        inside = sorted(p.name for p in folder.iterdir() if p.is_dir())
        if name not in inside:
            raise UserError(
                f"{folder} has no sub-folder {name!r}; there is: {', '.join(inside) or 'none'}."
            )
        folder = folder / name
    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        return _load_saved(folder)
    return {
        split: joined([read_file(path) for path in paths], f"{folder} [{split}]")
        for split, paths in find_splits(folder).items()
    }


def _load_saved(folder: Path) -> dict[str, Table]:
    require_libraries("datasets")
    from datasets import load_from_disk

    try:
        loaded = load_from_disk(str(folder))
    except Exception as error:  # damaged files raise whatever the reader was about to do
        raise UserError(
            f"{folder} was made by save_to_disk and cannot be read: {type(error).__name__}: "
            f"{_first_line(error)} Some of its files are missing or damaged: save it again."
        ) from error
    return _tables(loaded if isinstance(loaded, dict) else {"all": loaded}, folder)


def _tables(loaded: Mapping[Any, Any], source: str | Path) -> dict[str, Table]:
    return {
        str(split): from_dataset(dataset, str(source) if split == "all" else f"{source} [{split}]")
        for split, dataset in loaded.items()
    }


def _load_hub(source: str, name: str | None, revision: str | None) -> dict[str, Table]:
    require_libraries("datasets")
    import datasets

    with explaining_hub(source, name):
        loaded = datasets.load_dataset(source, name, revision=revision)
    return _tables(dict(loaded), source)  # pyright: ignore


@contextmanager
def explaining_hub(source: str, name: str | None) -> Iterator[None]:
    """Say why a data set of the Hub cannot be had, and what can be done.

    Raises:
        UserError: In place of what `datasets` raises.
    """
    from datasets.exceptions import DatasetNotFoundError, DatasetsError

    head = f"{source!r} is neither a file nor a folder here"
    local = "pass data= a folder or file that holds the data (parquet, JSONL, CSV, CoNLL)"
    try:
        yield
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
    except (DatasetsError, ValueError) as error:
        raise UserError(
            f"The Hub data set {source!r} cannot be loaded with name={name!r}: {error}"
        ) from error
    except (OSError, ImportError) as error:  # ConnectionError, offline mode, timeouts
        raise UserError(
            f"{head}, and the Hub cannot be reached ({_first_line(error)}). Without a network, "
            f"{local}."
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
