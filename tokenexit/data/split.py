"""One split of a data set, whatever its rows are."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from dataclasses import fields, replace
from typing import Any, Self

from tokenexit.errors import UserError


class Split(ABC):
    """Rows that stand in an order.

    Attributes:
        origin: Where they come from, for messages.
    """

    origin: str

    @abstractmethod
    def __len__(self) -> int: ...

    def take(self, rows: range | list[int]) -> Self:
        """The rows at these places: all fields of a split but ``origin`` are columns or None."""
        one: Any = self
        columns = {field.name: getattr(self, field.name) for field in fields(one)}
        taken = {
            name: [column[row] for row in rows]
            for name, column in columns.items()
            if name != "origin" and column is not None
        }
        return replace(one, **taken)

    @abstractmethod
    def keys(self) -> list[str]:
        """All that is read and meant to be said of each row; equal rows have equal ones."""

    def head(self, count: int) -> Self:
        """The first ``count`` rows."""
        return self.take(range(min(count, len(self))))

    def sample(self, count: int) -> Self:
        """As many rows drawn at random, always the same ones, in their order.

        Raises:
            UserError: ``count`` is below 1.
        """
        if count < 1:
            raise UserError(f"1 or more of {self.origin} have to be taken, not {count!r}.")
        size = len(self)
        return self.take(sorted(random.Random(0).sample(range(size), min(count, size))))
