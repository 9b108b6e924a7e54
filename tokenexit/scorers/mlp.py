"""One narrow hidden layer (TR-BERT, AdapLeR)."""

from __future__ import annotations

from torch import Tensor, nn

from tokenexit.scorers.base import SCORERS, RowScorer


@SCORERS.register("mlp")
class MLPScorer(RowScorer):
    """A hidden layer with GELU and one output.

    TR-BERT (Ye et al. 2021) takes its sigmoid, AdapLeR (Modarressi et al. 2022) its softmax over
    the rows of a text.

    Args:
        width: Width of the states, ``H``.
        inner: Width of the hidden layer.
    """

    def __init__(self, width: int, *, inner: int = 32) -> None:
        super().__init__()
        self.expand = nn.Linear(width, inner)
        self.activation = nn.GELU()
        self.project = nn.Linear(inner, 1)

    def forward(self, hidden: Tensor, /) -> Tensor:
        """States ``[N, H]`` to numbers ``[N]``."""
        return self.project(self.activation(self.expand(hidden))).squeeze(-1)

    @property
    def macs(self) -> int:
        """Multiply-accumulates per row."""
        return (self.expand.in_features + 1) * self.expand.out_features
