"""Columns: what was computed of each training text before a phase."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tokenexit.errors import UserError, unknown_name

UNITS: Mapping[str, Callable[[Any], int]] = {
    "text": lambda text: 1,
    "word": lambda text: len(text.targets or ()),
    "row": lambda text: len(text.input_ids),
}
"""Of what a column has a value: of a text, of each word (or target token), of each token that the
network reads. How many of them a text has."""


def counts(unit: str, texts: Sequence[Any]) -> Tensor:
    """Values that each text has, ``[texts]`` long."""
    return torch.tensor([UNITS[unit](text) for text in texts], dtype=torch.long)


@dataclass(frozen=True, eq=False)
class Column:
    """A number or vector for each text, word or row.

    Args:
        unit: ``text``, ``word`` or ``row``.
        values: Of all training texts of the phase, text after text, ``[N, ...]``.
    """

    unit: str
    values: Tensor

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise unknown_name("unit of a column", self.unit, UNITS)

    def check(self, name: str, texts: Sequence[Any]) -> None:
        """Refuse a column that has not one value for each.

        Raises:
            UserError: Says how many there are and should be.
        """
        wanted = int(counts(self.unit, texts).sum())
        if self.values.ndim < 1 or len(self.values) != wanted:
            raise UserError(
                f"The column {name!r} has {tuple(self.values.shape)} values, and there are "
                f"{wanted} {self.unit}s; a column has one value for each, text after text."
            )

    def of(self, texts: Sequence[Any], numbers: Tensor) -> Tensor:
        """The values of some texts, in their order, ``[N, ...]``.

        Args:
            texts: All training texts of the phase.
            numbers: Which of them, ``[S]``.
        """
        return self.values[_places(counts(self.unit, texts), numbers)]

    @classmethod
    def gathered(
        cls, unit: str, texts: Sequence[Any], parts: Iterable[tuple[Tensor, Tensor]]
    ) -> Column:
        """A column of what was found batch by batch.

        Args:
            unit: Of what there is a value.
            texts: All training texts of the phase.
            parts: Of each batch the numbers of its texts, ``[S]``, and their values in that order.
        """
        many = counts(unit, texts)
        found = [(_places(many, numbers), values.detach().cpu()) for numbers, values in parts]
        joined = torch.cat([values for _, values in found])
        places = torch.cat([place for place, _ in found])
        return cls(unit, torch.zeros_like(joined).index_copy(0, places, joined))


def _places(many: Tensor, numbers: Tensor) -> Tensor:
    """Where the values of some texts stand, text after text."""
    starts = many.cumsum(0) - many
    there = many[numbers]
    first = (starts[numbers] - (there.cumsum(0) - there)).repeat_interleave(there)
    return first + torch.arange(int(there.sum()))
