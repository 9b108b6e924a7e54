"""From here on the model computes fewer heads and neurons."""

from __future__ import annotations

from dataclasses import dataclass

from tokenexit.training.preparations.base import PREPARATIONS
from tokenexit.training.preparations.use_part import UsePart
from tokenexit.widths import WidthsLike, from_config


@PREPARATIONS.register("use_widths")
@dataclass(frozen=True)
class UseWidths(UsePart):
    """Give the model widths, for the evaluations of the phase and for all that comes after.

    Args:
        widths: As ``model.use_widths`` takes them; None for all of it.

    Raises:
        UserError: There are no such widths.
    """

    widths: WidthsLike | None = None

    of = "heads"
    build = staticmethod(from_config)
