"""Sequences that are not equally long: each may undo steps of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from tokenexit.decoding.by_depth.block import SlotBlock
from tokenexit.decoding.cache import Index
from tokenexit.decoding.decoding import Decoding
from tokenexit.errors import UserError


class UnevenDecoding(Decoding):
    """As ``Decoding``, one sequence a source, with a length for each.

    Args:
        given: As ``Decoding``.
    """

    _uneven = uneven = True

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._places = np.full(len(self.cache), -1)

    def forget(self, length: int) -> None:
        """See ``Sequences``: all sequences are as long then."""
        self.forget_each(np.full(self.num_rows, length))

    def forget_each(self, lengths: Index) -> None:
        """Undo the steps of each sequence from a length of its own on, ``[R]``."""
        kept = lengths[self._resident]
        self._places = kept - 1
        np.minimum(self.cache.filled, kept, out=self.cache.filled)
        self.cache.reserve(int(kept.max(initial=0)))

    def _grow(self, rows: Index) -> Index:
        places, most = self._places[rows] + 1, self.decoder.max_length
        if most is not None and int(places.max()) >= most:
            self.cache.reserve(most)
            self.check_length()
        self._places[rows] = places
        self.cache.reserve(int(places.max()) + 1)
        return places

    def _shrink(self, rows: Index) -> None:
        self._places[rows] -= 1
        np.minimum(self.cache.filled, self._places + 1, out=self.cache.filled)

    def _at(self, places: Index, device: torch.device) -> Tensor:
        return torch.from_numpy(places).to(device)

    def _block(self, rows: Index, places: Index) -> SlotBlock:
        return SlotBlock(rows, places, self.cache, self._origin)

    def _store(self, kept: Index, resident: Index) -> None:
        self._places = self._places[kept]
        super()._store(kept, resident)

    def _replace(self, chosen: Index) -> None:
        raise UserError("Sequences of unlike lengths can neither be forked nor reordered.")
