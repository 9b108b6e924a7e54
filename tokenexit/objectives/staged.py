"""What objectives share that train the network first and its exits after."""

from __future__ import annotations

from dataclasses import dataclass

from tokenexit.errors import UserError
from tokenexit.objectives.base import OBJECTIVES, Objective


@dataclass(frozen=True)
class Staged(Objective):
    """A first stage for the network, a second one for its exits.

    Args:
        split: Share of the steps that the first stage takes.

    Raises:
        UserError: ``split`` is not between 0 and 1.
    """

    split: float = 0.6
    staged = True

    def __post_init__(self) -> None:
        if not 0 < self.split < 1:
            name = OBJECTIVES.name_of(type(self))
            raise UserError(f"{name}.split must be between 0 and 1, not {self.split!r}.")
