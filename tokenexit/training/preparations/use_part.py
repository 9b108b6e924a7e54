"""From here on the model goes by something else: what such preparations share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, ClassVar

from tokenexit.errors import UserError
from tokenexit.training.preparations.base import Material, Preparation


class UsePart(Preparation):
    """Calls the model's ``use_...`` with its one field, which may be plain data.

    Subclasses are frozen dataclasses whose field is called as the method, without ``use_``.
    """

    of: ClassVar[str]
    """What a model lacks which cannot take it."""

    build: ClassVar[Callable[[Any], Any]]
    """From plain data."""

    def __post_init__(self) -> None:
        if self._given() is not None:
            object.__setattr__(self, self._part(), type(self).build(self._given()))

    def __call__(self, model: Any, material: Material) -> None:
        """Change the model."""
        use = getattr(model, f"use_{self._part()}", None)
        if use is None:
            raise UserError(f"A {type(model).__name__} has no {self.of} that could be taken out.")
        use(self._given())

    def _part(self) -> str:
        return fields(self)[0].name  # type: ignore[arg-type]

    def _given(self) -> Any:
        return getattr(self, self._part())
