"""What an objective may read of the model that a phase learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor


class Teacher(Protocol):
    """What another model says of the batch that is learned from: no dropout, no gradients.

    Nobody leaves in it, and its words and rows are in the order of the batch. It is run when it
    is first asked, and once a batch.
    """

    @property
    def logits(self) -> Tensor:
        """What its top says, ``[W, C]``."""
        ...

    @property
    def exits(self) -> Mapping[int, Tensor]:
        """What each of its exits says, the top's included, ``[W, C]`` by layer."""
        ...

    @property
    def hidden(self) -> Mapping[int, Tensor]:
        """States of words at its exits, as heads see them, ``[W, H]`` by layer."""
        ...

    @property
    def states(self) -> Sequence[Tensor]:
        """States of all rows after each layer, ``[T, H]``; for objectives with ``reads_states``."""
        ...
