"""Keep or skim: two outputs on a hidden layer between norms (Transkimmer)."""

from __future__ import annotations

from torch import Tensor, nn

from tokenexit.scorers.base import SCORERS, RowScorer


@SCORERS.register("skim")
class SkimScorer(RowScorer):
    """The predictor of Transkimmer (Guan et al. 2022): how much surer it is of keeping a row.

    Its two outputs are one number here, the difference of their logits, whose sigmoid is the
    softmax of the two. Biases start at +5 and -5, so that a fresh one keeps all rows.

    Args:
        width: Width of the states, ``H``.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before = nn.LayerNorm(width)
        self.dense = nn.Linear(width, width)
        self.after = nn.LayerNorm(width)
        self.activation = nn.GELU()
        self.project = nn.Linear(width, 2)
        for place, mean in enumerate((5.0, -5.0)):
            nn.init.normal_(self.project.bias.data[place : place + 1], mean, 0.02)

    def forward(self, hidden: Tensor, /) -> Tensor:
        """States ``[N, H]`` to numbers ``[N]``."""
        inner = self.activation(self.after(self.dense(self.before(hidden))))
        keep, skim = self.project(inner).unbind(dim=-1)
        return keep - skim

    @property
    def macs(self) -> int:
        """Multiply-accumulates per row."""
        return (self.dense.in_features + 2) * self.dense.out_features
