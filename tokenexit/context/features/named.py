"""The class that an exit names."""

from __future__ import annotations

import torch
from torch import Tensor

from tokenexit.context.features.base import FEATURES, Plain
from tokenexit.context.seen import Seen


@FEATURES.register("named")
class Named(Plain):
    """1 for the class that is named, 0 for the others."""

    of_classes = True

    def numbers(self, seen: Seen) -> Tensor:
        """See ``Plain``."""
        classes = torch.arange(self.width, device=seen.device)
        return (seen.named[:, None] == classes).float()
