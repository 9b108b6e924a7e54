"""How much the state has changed since the exit before."""

from __future__ import annotations

import torch
from torch import Tensor

from tokenexit.context.features.base import FEATURES, Feature, State
from tokenexit.context.seen import Seen


@FEATURES.register("change")
class Change(Feature):
    """The state less that at the exit before; zeros at the first exit."""

    of_logits = False
    reads_states = True
    remembers = True

    @property
    def width(self) -> int:
        """That of the network."""
        return self.shape.width

    def look(self, seen: Seen, state: State) -> tuple[Tensor, State]:
        """See ``Feature``."""
        now = seen.signals.hidden.float()
        return torch.zeros_like(now) if state is None else now - state, now
