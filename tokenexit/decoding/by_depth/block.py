"""Tokens of texts that are not equally far."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from tokenexit.decoders import Decoder
from tokenexit.decoding.block import Block
from tokenexit.decoding.cache import DecoderCache, Index


class SlotBlock(Block):
    """A block whose texts have places of their own, and sources of their own.

    Args:
        slots: Of each token, ``[N]``, ascending.
        places: Of each token in its text, ``[N]``, ascending within a text.
        cache: Where the texts are kept.
        origin: Source of each slot, ascending; that of the same number when None.
    """

    def __init__(
        self, slots: Index, places: Index, cache: DecoderCache, origin: Index | None = None
    ) -> None:
        mine = np.arange(len(cache)) if origin is None else origin
        super().__init__(slots, places, cache, mine, 0)
        self.whole = self.whole and bool((places == places[0]).all())

    def bias_of(self, decoder: Decoder) -> Tensor:
        """Position bias and causal mask, which hides what earlier texts have left behind."""
        return self._bias_by_place(decoder)
