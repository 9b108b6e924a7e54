"""One linear map from the state to a number, shared by all exits (BERxiT, CALM)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from tokenexit.gates.base import GATES, ExitGate
from tokenexit.signals import Signals


@GATES.register("linear")
class LinearGate(ExitGate):
    """BERxiT's learning-to-exit gate (Xin et al. 2021): one ``H -> 1`` for all layers.

    Its output estimates the probability that the exit at hand is wrong.

    Args:
        width: Width of the states, ``H``.
        num_classes: Not looked at.
        exits: Not looked at.
    """

    def __init__(self, width: int, num_classes: int = 0, exits: Sequence[int] = ()) -> None:
        super().__init__()
        self.project = nn.Linear(width, 1)

    def forward(self, signals: Signals) -> Tensor:
        """Probabilities ``[N]``."""
        return self.score(signals.hidden)

    def score(self, hidden: Tensor) -> Tensor:
        """States ``[N, H]`` to probabilities ``[N]``."""
        return self.project(hidden).squeeze(-1).float().sigmoid()

    @property
    def macs(self) -> int:
        """Multiply-accumulates per row."""
        return self.project.in_features
