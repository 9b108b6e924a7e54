"""How long the text around a row is."""

from __future__ import annotations

import torch
from torch import Tensor

from tokenexit.context.features.base import FEATURES, Feature, State
from tokenexit.context.seen import Seen


@FEATURES.register("length")
class Length(Feature):
    """Logarithm of the words of a window, counted when all of them arrive at the first exit."""

    of_logits = False
    remembers = True

    def look(self, seen: Seen, state: State) -> tuple[Tensor, State]:
        """See ``Feature``."""
        if state is None:
            where = seen.signals.sequence
            words = torch.zeros(seen.signals.num_sequences, device=where.device)
            words = words.index_add(0, where, torch.ones_like(where, dtype=words.dtype))
            state = words[where].log1p()[:, None]
        return state, state
