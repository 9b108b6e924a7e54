"""A corpus cut into blocks, and where the part of each is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tokenexit.data.corpus import Columns, Corpus, FileIndex
from tokenexit.errors import UserError
from tokenexit.files import write_json
from tokenexit.models.folders import read_json

MANIFEST, INDEX, PARTS = "manifest.json", ".index.json", "parts"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Plan:
    """What is to be written, the same for every process and every resumption.

    Attributes:
        folder: Where to.
        corpus: The rows.
        columns: What is read of them.
        format: ``jsonl`` or ``parquet``.
        block_size: Rows a block.
    """

    folder: Path
    corpus: Corpus
    columns: Columns
    format: str
    block_size: int

    @property
    def blocks(self) -> int:
        """How many there are; the last one may be shorter."""
        return -(-self.corpus.rows // self.block_size)

    def rows(self, block: int) -> range:
        """The rows of a block."""
        start = block * self.block_size
        return range(start, min(start + self.block_size, self.corpus.rows))

    def part(self, block: int) -> Path:
        """The file that a block is written to; by name they are in the order of the corpus."""
        return self.folder / PARTS / f"part-{block:08d}.{self.format}"

    def save_index(self) -> None:
        """Write what is known of the files, so that they are looked through once."""
        files = [file.to_json() for file in self.corpus.files]
        write_json(self.folder / INDEX, {"format": self.corpus.format, "files": files})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The plan that an output folder was begun with.

        Raises:
            UserError: Its files are missing or damaged.
        """
        settings = read_json(folder / MANIFEST)
        corpus = load_index(folder)
        try:
            if corpus is None:
                raise KeyError(INDEX)
            told = settings["settings"]
            columns = Columns(**{**told["columns"], "keep": tuple(told["columns"]["keep"])})
            return cls(folder, corpus, columns, told["format"], int(told["block_size"]))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{folder / MANIFEST} is damaged: {error}.") from error


def load_index(folder: Path) -> Corpus | None:
    """What an earlier run found out about the files; None if that is not there whole."""
    try:
        data: dict[str, Any] = read_json(folder / INDEX)
        return Corpus(data["format"], tuple(map(FileIndex.from_json, data["files"])))
    except (UserError, KeyError, TypeError, ValueError):
        return None
