"""How deep an exit is."""

from __future__ import annotations

import torch
from torch import Tensor

from tokenexit.context.features.base import FEATURES, Plain
from tokenexit.context.seen import Seen


@FEATURES.register("depth")
class Depth(Plain):
    """Share of the layers computed: of use where one gate serves all exits."""

    of_logits = False

    def numbers(self, seen: Seen) -> Tensor:
        """See ``Plain``."""
        share = seen.signals.layer / self.shape.num_layers
        return torch.full((len(seen), 1), share, device=seen.device)
