"""A scorer: from the state of a row to one number, learned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from tokenexit.errors import UserError
from tokenexit.registry import Registry, settings_of

SCORERS: Registry[RowScorer] = Registry("scorer", "tokenexit.scorers")


class RowScorer(nn.Module, ABC):
    """One number a row. Subclasses take ``(width, *, settings)``.

    A gate looks at words and texts at an exit; a scorer at all their rows before a layer.
    """

    @abstractmethod
    def forward(self, hidden: Tensor, /) -> Tensor:
        """States ``[N, H]`` to numbers ``[N]``, the higher the more a row is needed."""

    @property
    @abstractmethod
    def macs(self) -> int:
        """Multiply-accumulates per row."""


def build_scorer(config: Mapping[str, Any], width: int) -> RowScorer:
    """Build one scorer from ``{"name": "mlp", "inner": 32}``.

    Args:
        config: Name and settings.
        width: Width of the states.

    Raises:
        UserError: Unknown scorer or setting (the nearest name is given), or a bad value.
    """
    cls = SCORERS.get(str(config.get("name", "mlp")))
    settings = settings_of(config, cls, "scorer", given=("width",))
    inner = settings.get("inner", 1)
    if isinstance(inner, bool) or not isinstance(inner, int) or inner < 1:
        raise UserError(f"A scorer's inner width must be a whole number from 1, not {inner!r}.")
    return cls(width, **settings)
