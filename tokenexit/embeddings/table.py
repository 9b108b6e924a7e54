"""A file of states by n-gram: a plain safetensors file, read where it lies on the disk."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from tokenexit.errors import UserError

UNKNOWN = ("compute", "fallback")
"""What is done about trigrams that a table lacks."""

MADE_FROM = "made_from"


class NGramTable:
    """States of n-grams in half precision.

    Args:
        keys: N-grams as numbers, in increasing order, ``[N]``.
        states: Theirs, ``[N, 3, H]`` float16; on the disk, or in memory.
        made_from: Fingerprint of the weights that made them.
    """

    def __init__(self, keys: Tensor, states: Tensor, made_from: Mapping[str, Any]) -> None:
        self.keys, self.states, self.made_from = keys, states, dict(made_from)

    def __len__(self) -> int:
        return len(self.keys)

    def find(self, keys: Tensor) -> Tensor:
        """Places of n-grams, ``[M]``; -1 of those that are not there."""
        asked = keys.to(self.keys.device)
        place = torch.searchsorted(self.keys, asked).clamp_max(len(self.keys) - 1)
        return torch.where(self.keys[place] == asked, place, -1).to(keys.device)

    def states_at(self, places: Tensor) -> Tensor:
        """States, zero at the place -1, ``[M] -> [M, 3, H]``."""
        here = places.to(self.states.device)
        found = self.states.index_select(0, here.clamp_min(0))
        found = found.masked_fill((here < 0)[:, None, None], 0)
        return found.to(places.device)

    def in_memory(self, device: torch.device | str = "cpu") -> NGramTable:
        """The same read as a whole, onto a device."""
        keys, states = (torch.tensor(part.numpy()).to(device) for part in (self.keys, self.states))
        return NGramTable(keys, states, self.made_from)

    @classmethod
    def empty(
        cls, path: Path | None, keys: Tensor, width: int, made_from: Mapping[str, Any]
    ) -> Self:
        """A table of zeros to be filled in place.

        Args:
            path: Of a new file; in memory when None.
            keys: N-grams as numbers, in increasing order.
            width: Width of the states.
            made_from: Fingerprint of the weights.
        """
        shape = (len(keys), 3, width)
        if path is None:
            return cls(keys, torch.zeros(shape, dtype=torch.float16), made_from)
        start = _begin(path, keys, shape, made_from)
        states = np.memmap(path, np.float16, "r+", start, shape)
        return cls(keys, torch.from_numpy(states), made_from)

    def save(self, path: Path) -> None:
        """Write it to a file, piece by piece."""
        start = _begin(path, self.keys, tuple(self.states.shape), self.made_from)
        with path.open("r+b") as file:
            file.seek(start)
            for piece in self.states.split(1 << 14):
                file.write(piece.cpu().numpy().tobytes())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Open a file; states stay on the disk until they are asked for.

        Raises:
            UserError: It is no such table, or cut short.
        """
        try:
            with path.open("rb") as file:
                size = struct.unpack("<Q", file.read(8))[0]
                told = json.loads(file.read(size))
            keys, states = told["keys"], told["states"]
            shape = tuple(states["shape"])
            made_from = json.loads(told["__metadata__"][MADE_FROM])
            where = [8 + size + part["data_offsets"][0] for part in (keys, states)]
            # "c": pages are shared, and nothing is written back.
            known = torch.from_numpy(np.memmap(path, np.int64, "c", where[0], tuple(keys["shape"])))
            found = torch.from_numpy(np.memmap(path, np.float16, "c", where[1], shape))
        except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
            raise UserError(
                f"{path} is damaged or no table of n-grams ({type(error).__name__}: {error}). Copy "
                "it again, or make it anew with tokenexit ngrams."
            ) from error
        return cls(known, found, made_from)


def _begin(path: Path, keys: Tensor, shape: tuple[int, ...], made_from: Mapping[str, Any]) -> int:
    """Write a file of the right size without states, and say where these begin."""
    middle = 8 * len(keys)
    end = middle + 2 * int(np.prod(shape))
    told = {
        "__metadata__": {MADE_FROM: json.dumps(made_from)},
        "keys": {"dtype": "I64", "shape": [len(keys)], "data_offsets": [0, middle]},
        "states": {"dtype": "F16", "shape": list(shape), "data_offsets": [middle, end]},
    }
    header = json.dumps(told).encode()
    header += b" " * (-len(header) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + keys.cpu().numpy().tobytes())
        file.truncate(8 + len(header) + end)
    return 8 + len(header) + middle
