"""A gate: from what is known of a row at an exit to one number, learned."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from tokenexit.errors import UserError
from tokenexit.registry import Registry, settings_of
from tokenexit.signals import Signals

GATES: Registry[ExitGate] = Registry("gate", "tokenexit.gates")


class ExitGate(nn.Module, ABC):
    """One number a row. Subclasses take ``(width, num_classes, exits, *, settings)``.

    Attributes:
        taught: What it learns beside any objective: the probability that an exit is wrong by the
            gold class (``gold``) or by the top's answer (``top``); None where the objective
            itself trains it.
        reads_past: Whether it looks at the states of earlier exits, ``Signals.past``.
    """

    taught: ClassVar[Literal["gold", "top"] | None] = "gold"
    reads_past: ClassVar[bool] = False

    @abstractmethod
    def forward(self, signals: Signals) -> Tensor:
        """Numbers from 0 to 1, ``[N]``."""

    @property
    @abstractmethod
    def macs(self) -> int:
        """Multiply-accumulates per row."""

    def attach(self, heads: Mapping[str, nn.Module]) -> None:
        """Get to know the exits' heads, by layer; by default a gate needs none of them."""

    def loss(self, guess: Tensor, wrong: Tensor) -> Tensor:
        """Squared error, summed over rows (BERxiT, Xin et al. 2021).

        Args:
            guess: What the gate said, ``[N]``.
            wrong: 1 where the exit was wrong, ``[N]``.
        """
        return F.mse_loss(guess, wrong, reduction="sum")


def build_gate(
    config: Mapping[str, Any] | bool | None, width: int, num_classes: int, exits: Sequence[int]
) -> ExitGate | None:
    """Build a gate from ``{"name": "linear"}``; True is the linear one, False or None is none.

    Args:
        config: Name and settings.
        width: Width of the states.
        num_classes: Number of classes.
        exits: Layers with an exit, the top excluded.

    Raises:
        UserError: Unknown gate or setting, or a bad value.
    """
    if not config:
        return None
    if config is True:
        config = {"name": "linear"}
    if not isinstance(config, Mapping) or "name" not in config:
        raise UserError(
            f'heads.gate must be true, false or a mapping such as {{"name": "linear"}}, '
            f"not {config!r}."
        )
    cls = GATES.get(str(config["name"]))
    settings = settings_of(config, cls, "gate", given=("width", "num_classes", "exits"))
    inner = settings.get("inner", 1)
    if isinstance(inner, bool) or not isinstance(inner, int) or inner < 1:
        raise UserError(f"A gate's inner width must be a whole number from 1, not {inner!r}.")
    bias = settings.get("bias", 0.0)
    if isinstance(bias, bool) or not isinstance(bias, int | float) or not math.isfinite(bias):
        raise UserError(f"A gate's bias must be a number, not {bias!r}.")
    return cls(width, num_classes, tuple(exits), **settings)
