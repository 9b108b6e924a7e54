"""What a target is: which exits are wrong about which rows, and how much each row weighs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from tokenexit.registry import Registry

TARGETS: Registry[Target] = Registry("target", "tokenexit.context.targets")


class Target(ABC):
    """Which exits are wrong."""

    needs_gold: ClassVar[bool] = False
    """Whether gold labels have to be known."""

    @abstractmethod
    def wrong(self, said: Tensor, gold: Tensor) -> Tensor:
        """Which exits below the top are wrong.

        Args:
            said: Class named by each exit, the top's last, ``[E, N]``.
            gold: Gold class, ``[N]``, -100 where unknown.

        Returns:
            ``[E - 1, N]`` bool.
        """

    def weight(self, said: Tensor, gold: Tensor, classes: Sequence[str]) -> Tensor | None:
        """How much each row weighs, ``[N]``; all the same when None.

        Args:
            said: As above.
            gold: As above.
            classes: Names of the classes.
        """
        return None


def unstable(said: Tensor) -> Tensor:
    """Where an exit, or one after it, names another class than the top, ``[E - 1, N]`` bool."""
    other = said[:-1] != said[-1]
    return other.flip(0).cummax(dim=0).values.flip(0)
