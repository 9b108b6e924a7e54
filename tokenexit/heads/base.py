"""An exit head: from a row's state to class scores, at one depth."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from tokenexit.errors import UserError, unknown_name
from tokenexit.registry import Registry

HEADS: Registry[ExitHead] = Registry("exit head", "tokenexit.heads")


class ExitHead(nn.Module, ABC):
    """Scores classes from states. Subclasses take ``(width, num_classes, *, settings)``."""

    @abstractmethod
    def forward(self, hidden: Tensor) -> Tensor:
        """States ``[N, H]`` to logits ``[N, C]``."""

    @property
    @abstractmethod
    def macs(self) -> int:
        """Multiply-accumulates per row."""


def build_head(config: Mapping[str, Any], width: int, num_classes: int) -> ExitHead:
    """Build one head from its configuration, ``{"name": "linear", "dropout": 0.1}``.

    Raises:
        UserError: Unknown head or setting (the nearest name is given), or a bad value.
    """
    cls = HEADS.get(str(config.get("name", "linear")))
    settings = {key: value for key, value in config.items() if key != "name"}
    allowed = [p for p in inspect.signature(cls).parameters if p not in ("width", "num_classes")]
    for key in settings:
        if key not in allowed:
            raise unknown_name(f"setting of head {config.get('name')}", key, allowed)
    dropout = settings.get("dropout", 0.0)
    if not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        raise UserError(f"A head's dropout must be a number from 0 to below 1, not {dropout!r}.")
    inner = settings.get("inner")
    if inner is not None and (isinstance(inner, bool) or not isinstance(inner, int) or inner < 1):
        raise UserError(f"A head's inner width must be a whole number from 1, not {inner!r}.")
    return cls(width, num_classes, **settings)
