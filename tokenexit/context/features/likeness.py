"""How like the state at the exit before this one is."""

from __future__ import annotations

import torch
from torch import Tensor

from tokenexit.context.features.base import FEATURES, Feature, State
from tokenexit.context.seen import Seen


@FEATURES.register("likeness")
class Likeness(Feature):
    """Cosine with the state at the exit before; 0 at the first exit."""

    of_logits = False
    reads_states = True
    remembers = True

    def look(self, seen: Seen, state: State) -> tuple[Tensor, State]:
        """See ``Feature``."""
        now = seen.signals.hidden.float()
        if state is None:
            return torch.zeros(len(now), 1, device=now.device), now
        return torch.cosine_similarity(now, state, dim=-1)[:, None], now
