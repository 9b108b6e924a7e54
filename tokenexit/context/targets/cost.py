"""A lost entity costs more than a lost word outside."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tokenexit.context.targets.agreement import Agreement
from tokenexit.context.targets.base import TARGETS

ENTITY = 4.0
"""How much more a word weighs that some exit takes for part of an entity."""


@TARGETS.register("cost")
class Cost(Agreement):
    """Agreement, where words that the top or any exit takes for entities weigh ``ENTITY`` times."""

    def weight(self, said: Tensor, gold: Tensor, classes: Sequence[str]) -> Tensor | None:
        """See ``Target``; without a class ``O`` all weigh the same."""
        if "O" not in classes:
            return None
        entity = (said != list(classes).index("O")).any(dim=0)
        return torch.where(entity, ENTITY, 1.0)
