"""Which files a corpus is made of: one, those of a folder, those of a data set of the Hub."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tokenexit.data.files import format_of
from tokenexit.data.layout import split_of
from tokenexit.data.source import explaining_hub, is_hub_id, local_path
from tokenexit.data.table import listed
from tokenexit.errors import UserError
from tokenexit.extras import require_libraries

_ENDINGS = {
    ".parquet": "parquet",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".txt": "text",
}
_KNOWN = "parquet (.parquet), JSON lines (.jsonl) and text (.txt, a text a line)"


@dataclass(frozen=True)
class Found:
    """Files of one corpus, in the order in which they are read.

    Attributes:
        format: ``parquet``, ``json`` or ``text``.
        paths: The files; ``hf://`` ones stand with their commit.
    """

    format: str
    paths: tuple[str, ...]


def is_corpus(source: str) -> bool:
    """Whether something is more than a file of lines: a folder, parquet, or a Hub id.

    Args:
        source: As a user writes it; a word without a slash is a file, there or not.
    """
    path = local_path(source)
    if path is not None:
        return path.is_dir() or path.suffix.lower() == ".parquet"
    return "/" in source and is_hub_id(source)


def find_files(
    source: str, split: str | None = None, name: str | None = None, revision: str | None = None
) -> Found:
    """The files of a corpus.

    Args:
        source: A file; a folder, read with all that is in it, ordered by path; or a Hub id.
        split: Take the files of this split alone.
        name: A sub-folder, or the configuration of a Hub data set.
        revision: Branch, tag or commit of a Hub data set.

    Raises:
        UserError: Nothing is there, or nothing that is read piece by piece.
    """
    path = local_path(source)
    if path is None:
        if not is_hub_id(source):
            raise UserError(
                f"The path {source!r} does not exist. Give a file or folder of {_KNOWN}, or a Hub "
                "id such as owner/name."
            )
        return _of_one_format(source, _on_hub(source, split, name, revision))
    if revision is not None:
        raise UserError(f"--revision is for Hub data sets, but {source} is a local path.")
    if path.is_dir():
        return _in_folder(path if name is None else path / name, split)
    for option, value in (("--split", split), ("--data-name", name)):
        if value is not None:
            raise UserError(f"{option} is for folders and Hub ids; {source} is a file.")
    if not path.is_file():
        raise UserError(f"{source} is a pipe or a device, which cannot be read twice.")
    return Found(_format_of_file(path), (_one_name(path),))


def _format_of_file(path: Path) -> str:
    kind = _kind(str(path))
    other = format_of(path)
    if kind is None and other is not None:
        raise UserError(
            f"{path}: a corpus is read from {_KNOWN}, not from {other}. Write it as one of them: "
            "datasets.load_dataset(...).to_parquet(...) does so."
        )
    return kind or "text"  # whatever it is called, as without an output folder


def _in_folder(folder: Path, split: str | None) -> Found:
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}.")
    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        raise UserError(
            f"{folder} was made by save_to_disk, whose files are not read piece by piece. Write "
            "parquet: datasets.load_from_disk(...).to_parquet(...)."
        )
    paths = sorted(_data_files(folder))
    if split is not None:
        splits = {_split_of(folder, path): path for path in reversed(paths)}
        if split not in splits:
            there = ", ".join(sorted(name for name in splits if name)) or "none"
            raise UserError(f"{folder} has no split {split!r}; it has: {there}.")
        paths = [path for path in paths if _split_of(folder, path) == split]
    if not paths:
        inside = ", ".join(sorted(path.name for path in folder.iterdir())[:6]) or "nothing"
        raise UserError(f"{folder} holds no corpus: no {_KNOWN}. There is: {inside}.")
    return _of_one_format(str(folder), [_one_name(folder / path) for path in paths])


def _one_name(path: Path) -> str:
    """However its folder is spelled; in the Hub's cache a link's own name alone says its kind."""
    return str(path.parent.resolve() / path.name)


def _data_files(folder: Path) -> list[PurePosixPath]:
    """Paths in a folder, hidden ones left out; they compare part by part, on every system."""
    found, seen = [], set()
    for place, inside, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a link back, or to what is there already
            inside[:] = []
            continue
        seen.add(real)
        inside[:] = sorted(name for name in inside if not name.startswith((".", "~")))
        here = PurePosixPath(Path(place).relative_to(folder).as_posix())
        found += [here / name for name in names if _kind(name) and not name.startswith((".", "~"))]
    return found


def _split_of(folder: Path, path: PurePosixPath) -> str | None:
    """By the name of the file, else by that of the innermost folder that names one."""
    for part in reversed(path.parts):
        if found := split_of(Path(part)):
            return found
    return None


def _on_hub(source: str, split: str | None, name: str | None, revision: str | None) -> list[str]:
    require_libraries("datasets")
    import datasets

    with explaining_hub(source, name):
        builder = datasets.load_dataset_builder(source, name, revision=revision)
    files = builder.config.data_files or {}
    by_split = {str(key): list(map(str, paths)) for key, paths in files.items()}
    if split is not None and split not in by_split:
        raise UserError(f"{source} has no split {split!r}; it has: {listed(by_split)}.")
    return [path for key, paths in by_split.items() if split in (None, key) for path in paths]


def _of_one_format(source: str, paths: Sequence[str]) -> Found:
    """Without what describes data (JSON, text) beside the data."""
    kinds = {path: _kind(path) for path in paths}
    there = {kind for kind in kinds.values() if kind}
    if len(there) > 1:
        described = [path for path in paths if PurePosixPath(path).suffix in (".json", ".txt")]
        kinds = {path: kind for path, kind in kinds.items() if path not in described} or kinds
        there = {kind for kind in kinds.values() if kind}
    if len(there) != 1 or None in kinds.values():
        endings = sorted({PurePosixPath(path).suffix or path for path in paths})
        raise UserError(
            f"{source} is read from files of one format, {_KNOWN}; it has {listed(endings, 8)}. "
            "Give one of its files or folders; of a Hub data set, --revision "
            "refs/convert/parquet often holds the same rows as parquet."
        )
    return Found(there.pop(), tuple(kinds))


def _kind(path: str) -> str | None:
    suffixes = [suffix.lower() for suffix in PurePosixPath(path).suffixes[-2:]]
    if suffixes[-1:] == [".gz"]:
        kind = _ENDINGS.get(suffixes[0]) if len(suffixes) == 2 else None
        return None if kind == "parquet" else kind
    return _ENDINGS.get(suffixes[-1]) if suffixes else None
