"""An exit head with one hidden layer, for shallow exits that need more than a projection."""

from __future__ import annotations

from torch import Tensor, nn

from tokenexit.heads.base import HEADS, ExitHead


@HEADS.register("mlp")
class MLPHead(ExitHead):
    """Linear, GELU, dropout, linear.

    Args:
        width: Width of the states, ``H``.
        num_classes: ``C``.
        inner: Width of the hidden layer; half of ``H`` when None.
        dropout: Dropout before the output while training.
    """

    def __init__(
        self, width: int, num_classes: int, *, inner: int | None = None, dropout: float = 0.1
    ) -> None:
        super().__init__()
        inner = max(width // 2, 1) if inner is None else inner
        self.expand = nn.Linear(width, inner)
        self.activation = nn.GELU()
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(inner, num_classes)

    def forward(self, hidden: Tensor, past: Tensor | None = None, /) -> Tensor:
        """States ``[N, H]`` to logits ``[N, C]``."""
        return self.project(self.dropout(self.activation(self.expand(hidden))))

    @property
    def macs(self) -> int:
        """Multiply-accumulates per row."""
        inner = self.expand.out_features
        return self.expand.in_features * inner + inner * self.project.out_features
