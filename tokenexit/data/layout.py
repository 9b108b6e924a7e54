"""Which files of a folder make up which split."""

from __future__ import annotations

import re
from pathlib import Path

from tokenexit.data.files import KNOWN, format_of
from tokenexit.errors import UserError

_SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "testa": "validation",  # CoNLL-2003's names
    "test": "test",
    "testb": "test",
}
_LOG = "train_log.jsonl"  # of a run, whose folder may be that of its data
_SHARD = re.compile(r"-\d+(-of-\d+)?$")


def split_of(path: Path) -> str | None:
    """The split that a file name stands for: ``en_ewt-ud-dev.conllu`` is validation.

    Raises:
        UserError: The name holds two different splits.
    """
    words = re.findall("[a-z]+", path.name.lower())
    found = sorted({_SPLITS[word] for word in words if word in _SPLITS})
    if len(found) > 1:
        raise UserError(
            f"{path}: the name stands for both {' and '.join(found)}; rename it to one of them."
        )
    return found[0] if found else None


def find_splits(folder: Path) -> dict[str, list[Path]]:
    """Files of each split in ``folder``, or in its ``data`` sub-folder.

    A folder whose only data file names no split gives ``{"all": [file]}``.

    Raises:
        UserError: Nothing to read, or two files claim the same split.
    """
    for place in (folder, folder / "data"):
        files = sorted(p for p in place.glob("*") if _is_data(p))
        splits: dict[str, list[Path]] = {}
        for path in files:
            split = split_of(path)
            if split:
                splits.setdefault(split, []).append(path)
        for split, paths in splits.items():
            # Treebanks put the raw text, train.txt, beside train.conllu.
            splits[split] = paths = [p for p in paths if _ending(p) != ".txt"] or paths
            _check_shards(split, paths)
        if splits:
            order = {name: i for i, name in enumerate(("train", "validation", "test"))}
            return dict(sorted(splits.items(), key=lambda item: order[item[0]]))
        # README.txt or metrics.json beside it are not data unless their names say so.
        files = [p for p in files if _ending(p) != ".txt"]
        files = [p for p in files if _ending(p) != ".json"] or files
        if len(files) == 1:
            return {"all": files}
        if files:
            raise UserError(
                f"{folder}: cannot tell the splits apart from the names "
                f"{', '.join(p.name for p in files[:6])}. Name the files train, validation and "
                "test (.parquet, .jsonl, .conll, ...), or give one file."
            )
    inside = ", ".join(sorted(p.name for p in folder.iterdir())[:6]) or "nothing"
    raise UserError(
        f"{folder} holds no data file; expected train, validation and test as one of "
        f"{KNOWN}, or a save_to_disk folder. There is: {inside}."
    )


def _is_data(path: Path) -> bool:
    # .train.jsonl.swp, ._train.jsonl and their kind belong to editors and file systems.
    named = not path.name.startswith((".", "~")) and path.name != _LOG
    return named and path.is_file() and format_of(path) is not None


def _ending(path: Path) -> str:
    return Path(_unpacked_name(path)).suffix.lower()


def _unpacked_name(path: Path) -> str:
    return path.stem if path.suffix.lower() == ".gz" else path.name


def _check_shards(split: str, paths: list[Path]) -> None:
    stems = [Path(_unpacked_name(path)).stem for path in paths]
    bases = {
        (_SHARD.sub("", stem), path.name[len(stem) :].lower())
        for stem, path in zip(stems, paths, strict=True)
    }
    numbered = all(_SHARD.search(stem) for stem in stems)
    if len(paths) > 1 and not (len(bases) == 1 and numbered):
        raise UserError(
            f"{paths[0].parent}: {len(paths)} files claim the {split} split: "
            f"{', '.join(p.name for p in paths[:6])}. Keep one (shards are named "
            f"{split}-00000-of-00002.parquet and so on)."
        )
