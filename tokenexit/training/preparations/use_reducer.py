"""From here on rows are taken out of the model's texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenexit.errors import UserError
from tokenexit.reducers import ReducerLike, from_config
from tokenexit.training.column import Column
from tokenexit.training.preparations.base import PREPARATIONS, Material, Preparation


@PREPARATIONS.register("use_reducer")
@dataclass(frozen=True)
class UseReducer(Preparation):
    """Give the model a reducer, for the evaluations of the phase and for all that comes after.

    Args:
        reducer: As ``model.use_reducer`` takes it; None for none.

    Raises:
        UserError: There is no such reducer.
    """

    reducer: ReducerLike | None = None

    def __post_init__(self) -> None:
        if self.reducer is not None:
            object.__setattr__(self, "reducer", from_config(self.reducer))

    def __call__(self, model: Any, material: Material) -> Mapping[str, Column] | None:
        """Change the model."""
        if not hasattr(model, "use_reducer"):
            raise UserError(f"A {type(model).__name__} has no rows that could be taken out.")
        model.use_reducer(self.reducer)
