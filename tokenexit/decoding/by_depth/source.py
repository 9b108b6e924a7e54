"""Sources of texts that come and go: one a slot."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tokenexit.decoders import Decoder
from tokenexit.decoding.source import Index, Source, hidden

_NOWHERE = float("-inf")


class SlotSource(Source):
    """Encoder states by slot; each layer reads a slot's when its text first gets there.

    Args:
        decoder: The decoder that reads.
        slots: Texts at a time.
        like: Encoder states, of whose type and width all will be.
    """

    def __init__(self, decoder: Decoder, slots: int, like: Tensor) -> None:
        super().__init__(decoder, like.new_zeros(slots, 1, like.shape[-1]), None)
        self.mask = self.memory.new_zeros(slots, 1, 1, 1)
        self.lengths = np.zeros(slots, dtype=np.int64)
        self._known = np.zeros((decoder.num_layers, slots), dtype=bool)

    def admit(self, slots: Tensor, memory: Tensor, mask: Tensor) -> None:
        """New texts take the places of others.

        Args:
            slots: Which, ``[n]``.
            memory: Their encoder states, ``[n, S, H]``.
            mask: 1 for real tokens, ``[n, S]``.
        """
        assert self.mask is not None
        width = memory.shape[1]
        self._widen(width)
        self.memory[slots, :width] = memory
        self.memory[slots, width:] = 0  # of earlier texts, which might be no numbers
        self.mask[slots] = _NOWHERE
        self.mask[slots, ..., :width] = hidden(mask, memory)
        numbers = slots.cpu().numpy()
        self.lengths[numbers] = mask.sum(dim=1).cpu().numpy()
        self._known[:, numbers] = False

    def attend(self, index: int, query: Tensor, origin: Index, lanes: int) -> Tensor:
        """See ``Source``; ``origin`` are slots."""
        self.ready(index, origin)
        return super().attend(index, query, origin, lanes)

    def ready(self, index: int, slots: Index) -> int:
        """Project what a layer has not read of some slots yet; returns tokens of sources."""
        fresh = np.unique(slots[~self._known[index, slots]])
        if not len(fresh):
            return 0
        self._project(index, fresh)
        return int(self.lengths[fresh].sum())

    def keys_values(self, index: int) -> tuple[Tensor, Tensor]:
        """What a layer has read of all slots, ``2 x [slots, h, S, d]``."""
        found = self._read[index]
        assert found is not None
        return found

    def _project(self, index: int, fresh: Index) -> None:
        slots = torch.from_numpy(fresh).to(self.memory.device)
        made = self._made(index, self.memory[slots])
        stored = self._read[index]
        if stored is None:
            keys, values = (part.new_zeros(len(self), *part.shape[1:]) for part in made)
            self._read[index] = stored = keys, values
        for store, part in zip(stored, made, strict=True):
            store[slots] = part
        self._known[index, fresh] = True
        self.projected[index] += int(self.lengths[fresh].sum())

    def _widen(self, width: int) -> None:
        """Have room for sources of so many tokens."""
        assert self.mask is not None
        more = width - self.memory.shape[1]
        if more <= 0:
            return
        pad = torch.nn.functional.pad
        self.memory = pad(self.memory, (0, 0, 0, more))
        self.mask = pad(self.mask, (0, more), value=_NOWHERE)
        for index, read in enumerate(self._read):
            if read is not None:
                self._read[index] = pad(read[0], (0, 0, 0, more)), pad(read[1], (0, 0, 0, more))
