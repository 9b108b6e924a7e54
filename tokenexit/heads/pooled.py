"""BERT's own kind of head at every exit: dense layer, tanh, projection."""

from __future__ import annotations

from torch import Tensor, nn

from tokenexit.heads.base import HEADS, ExitHead


@HEADS.register("pooled")
class PooledHead(ExitHead):
    """Dense layer as wide as the state, tanh, dropout, linear (DeeBERT, Xin et al. 2020).

    DeeBERT copies the pre-trained pooler into every exit; here the dense layer starts as the
    identity, so that an exit begins by reading the state as a linear head would.

    Args:
        width: Width of the states, ``H``.
        num_classes: ``C``.
        dropout: Dropout before the output while training.
    """

    def __init__(self, width: int, num_classes: int, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        nn.init.eye_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(width, num_classes)

    def forward(self, hidden: Tensor, past: Tensor | None = None, /) -> Tensor:
        """States ``[N, H]`` to logits ``[N, C]``."""
        return self.project(self.dropout(self.dense(hidden).tanh()))

    @property
    def macs(self) -> int:
        """Multiply-accumulates per row."""
        width = self.dense.in_features
        return width * width + width * self.project.out_features
