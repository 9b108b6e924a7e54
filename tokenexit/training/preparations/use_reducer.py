"""From here on rows are taken out of the model's texts."""

from __future__ import annotations

from dataclasses import dataclass

from tokenexit.reducers import ReducerLike, from_config
from tokenexit.training.preparations.base import PREPARATIONS
from tokenexit.training.preparations.use_part import UsePart


@PREPARATIONS.register("use_reducer")
@dataclass(frozen=True)
class UseReducer(UsePart):
    """Give the model a reducer, for the evaluations of the phase and for all that comes after.

    Args:
        reducer: As ``model.use_reducer`` takes it; None for none.

    Raises:
        UserError: There is no such reducer.
    """

    reducer: ReducerLike | None = None

    of = "rows"
    build = staticmethod(from_config)
