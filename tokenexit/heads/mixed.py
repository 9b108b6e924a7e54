"""A head on a mixture of this exit's state and those before it (Right Tool for the Job)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tokenexit.heads.base import HEADS, ExitHead
from tokenexit.heads.temperature import Temperature
from tokenexit.signals import Signals


@HEADS.register("mixed")
class MixedHead(ExitHead):
    """Weighted sum of states, linear, divided by a temperature (Schwartz et al. 2020).

    The weights of the states are learned and scaled to length one. After training the temperature
    is fitted to the validation split, so that probabilities mean what they say. The paper can also
    pass the logits of earlier exits on; here only states are.

    Args:
        width: Width of the states, ``H``.
        num_classes: ``C``.
        place: Number of exits before this one.
        dropout: Dropout before the output while training.
    """

    reads_past = True
    fitted_on = "validation"

    def __init__(
        self, width: int, num_classes: int, place: int = 0, *, dropout: float = 0.1
    ) -> None:
        super().__init__()
        start = torch.zeros(place + 1)
        start[-1] = 1.0  # an exit begins by reading its own state
        self.place = place
        self.mixture = nn.Parameter(start) if place else None  # the first has nothing to mix
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(width, num_classes)
        self.temperature = Temperature()

    def forward(self, hidden: Tensor, past: Tensor | None = None, /) -> Tensor:
        """States ``[N, H]`` and those before, ``[N, E, H]``, to logits ``[N, C]``."""
        if self.mixture is not None and past is not None:
            weights = self.mixture / self.mixture.norm().clamp_min(1e-6)
            hidden = weights[-1] * hidden + (weights[None, :-1] @ past).squeeze(1)
        return self.temperature(self.project(self.dropout(hidden)))

    @property
    def macs(self) -> int:
        """Multiply-accumulates per row, those of the sum over earlier states included."""
        width = self.project.in_features
        return width * (self.project.out_features + self.place)

    def observe(self, signals: Signals) -> None:
        """Keep the logits of validation rows."""
        assert signals.target is not None
        self.temperature.observe(signals.logits, signals.target)

    def finalize(self) -> None:
        """Fit the temperature."""
        self.temperature.finalize()
