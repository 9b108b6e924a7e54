"""A narrow exit head with a temperature of its own (CAT)."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from tokenexit.errors import unknown_name
from tokenexit.heads.base import HEADS, ExitHead
from tokenexit.heads.temperature import Temperature
from tokenexit.signals import Signals

FITTED = ("validation", "train", "phase")


@HEADS.register("bottleneck")
class BottleneckHead(ExitHead):
    """Linear, tanh, linear, and a temperature: exits of confident adaptive transformers.

    As the released code has them (Schuster et al. 2021). What the exit reads is narrow enough for
    a gate to look at, too.

    Args:
        width: Width of the states, ``H``.
        num_classes: ``C``.
        inner: Width of the reading.
        temperature: What it is fitted on: a split after training, or with ``phase`` what the
            preparation ``fit_heads`` shows it.
    """

    def __init__(
        self,
        width: int,
        num_classes: int,
        *,
        inner: int = 32,
        temperature: Literal["validation", "train", "phase"] = "validation",
    ) -> None:
        super().__init__()
        if temperature not in FITTED:
            raise unknown_name("bottleneck.temperature", temperature, FITTED)
        self.expand = nn.Linear(width, inner)
        self.project = nn.Linear(inner, num_classes)
        self.temperature = Temperature()
        self.fitted_on = temperature  # type: ignore[misc]

    def reading(self, hidden: Tensor) -> Tensor:
        """What the exit reads of states ``[N, H]``, ``[N, inner]``."""
        return self.expand(hidden).tanh()

    def forward(self, hidden: Tensor, past: Tensor | None = None, /) -> Tensor:
        """States ``[N, H]`` to logits ``[N, C]``."""
        return self.temperature(self.project(self.reading(hidden)))

    def observe(self, signals: Signals) -> None:
        """Keep labelled rows for the temperature."""
        assert signals.target is not None
        if not signals.target.is_floating_point():
            self.temperature.observe(signals.logits, signals.target)

    def finalize(self) -> None:
        """Fit the temperature."""
        self.temperature.finalize()

    @property
    def macs(self) -> int:
        """Multiply-accumulates per row."""
        inner = self.expand.out_features
        return self.expand.in_features * inner + inner * self.project.out_features
