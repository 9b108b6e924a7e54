"""From here on the model computes fewer heads and neurons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tokenexit.errors import UserError
from tokenexit.training.preparations.base import PREPARATIONS, Material, Preparation
from tokenexit.widths import WidthsLike, from_config


@PREPARATIONS.register("use_widths")
@dataclass(frozen=True)
class UseWidths(Preparation):
    """Give the model widths, for the evaluations of the phase and for all that comes after.

    Args:
        widths: As ``model.use_widths`` takes them; None for all of it.

    Raises:
        UserError: There are no such widths.
    """

    widths: WidthsLike | None = None

    def __post_init__(self) -> None:
        if self.widths is not None:
            object.__setattr__(self, "widths", from_config(self.widths))

    def __call__(self, model: Any, material: Material) -> None:
        """Change the model."""
        if not hasattr(model, "use_widths"):
            raise UserError(f"A {type(model).__name__} has no heads that could be taken out.")
        model.use_widths(self.widths)
