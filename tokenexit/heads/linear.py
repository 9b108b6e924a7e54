"""The plainest exit head: one projection."""

from __future__ import annotations

from torch import Tensor, nn

from tokenexit.heads.base import HEADS, ExitHead


@HEADS.register("linear")
class LinearHead(ExitHead):
    """Dropout and one linear layer (SENTEE and TOKEE, Li et al. 2021).

    Args:
        width: Width of the states, ``H``.
        num_classes: ``C``.
        dropout: Dropout on the states while training.
    """

    def __init__(self, width: int, num_classes: int, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(width, num_classes)

    def forward(self, hidden: Tensor, past: Tensor | None = None, /) -> Tensor:
        """States ``[N, H]`` to logits ``[N, C]``."""
        return self.project(self.dropout(hidden))

    @property
    def macs(self) -> int:
        """Multiply-accumulates per row."""
        return self.project.in_features * self.project.out_features
