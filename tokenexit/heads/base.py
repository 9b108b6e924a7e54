"""An exit head: from a row's state to class scores, at one depth."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from tokenexit.errors import UserError
from tokenexit.registry import Registry, settings_of
from tokenexit.renamed import keep_former
from tokenexit.signals import Signals

HEADS: Registry[ExitHead] = Registry("exit head", "tokenexit.heads")


class Fitted(nn.Module):
    """A part that may look at a split once more after training, of a head or of the top.

    One in the network's own head has to save what a layer of torch in its place would.

    Attributes:
        fitted_on: The split; None if it need not, ``phase`` for texts that a phase of training
            begins with.
    """

    fitted_on: ClassVar[Literal["train", "validation", "phase"] | None] = None

    def observe(self, signals: Signals) -> None:
        """Look at labelled rows of the split ``fitted_on``; by default there is nothing to see."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        keep_former(cls, _FORMER)

    def finalize(self) -> None:
        """Learn from the rows observed, which were all."""


_FORMER = {"settle": "finalize"}
keep_former(Fitted, _FORMER)


class ExitHead(Fitted, ABC):
    """Scores classes from states. Subclasses take ``(width, num_classes, *, settings)``.

    Those that have to know where they stand take ``place`` as well, the number of exits before
    them, or ``exits``, the number of all exits with the top.

    Attributes:
        reads_past: Whether ``forward`` takes a second argument, the states of the same rows at
            earlier exits, ``[N, E, H]``.
    """

    reads_past: ClassVar[bool] = False

    @abstractmethod
    def forward(self, hidden: Tensor, past: Tensor | None = None, /) -> Tensor:
        """States ``[N, H]`` to logits ``[N, C]``."""

    def start_from(self, pooler: nn.Linear | None) -> None:
        """Begin with the network's own pooler, ``[H, H]``, if that is how it begins."""
        return None

    def share(self, first: ExitHead) -> None:
        """Take from the first exit's head what all exits have in common; nothing by default."""
        return None

    @property
    @abstractmethod
    def macs(self) -> int:
        """Multiply-accumulates per row."""


def build_head(
    config: Mapping[str, Any], width: int, num_classes: int, place: int = 0, exits: int = 1
) -> ExitHead:
    """Build one head from its configuration, ``{"name": "linear", "dropout": 0.1}``.

    Args:
        config: Name and settings.
        width: Width of the states, ``H``.
        num_classes: ``C``.
        place: Number of exits before this one.
        exits: Number of all exits, with the top.

    Raises:
        UserError: Unknown head or setting (the nearest name is given), or a bad value.
    """
    cls = HEADS.get(str(config.get("name", "linear")))
    settings = settings_of(config, cls, "head", ("width", "num_classes", "place", "exits"))
    known = inspect.signature(cls).parameters
    standing = {k: v for k, v in (("place", place), ("exits", exits)) if k in known}
    dropout = settings.get("dropout", 0.0)
    if not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        raise UserError(f"A head's dropout must be a number from 0 to below 1, not {dropout!r}.")
    inner = settings.get("inner")
    if inner is not None and (isinstance(inner, bool) or not isinstance(inner, int) or inner < 1):
        raise UserError(f"A head's inner width must be a whole number from 1, not {inner!r}.")
    return cls(width, num_classes, **standing, **settings)
