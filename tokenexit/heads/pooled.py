"""BERT's own kind of head at every exit: dense layer, tanh, projection."""

from __future__ import annotations

from torch import Tensor, nn

from tokenexit.errors import unknown_name
from tokenexit.heads.base import HEADS, ExitHead

STARTS = ("identity", "backbone")
SHARED = ("nothing", "dense", "all")


@HEADS.register("pooled")
class PooledHead(ExitHead):
    """Dense layer as wide as the state, tanh, dropout, linear (DeeBERT, Xin et al. 2020).

    DeeBERT copies the pre-trained pooler into every exit; PABEE (Zhou et al. 2020) has one for all
    of them. Where the dense layer starts as the identity, an exit begins by reading the state as a
    linear head would.

    Args:
        width: Width of the states, ``H``.
        num_classes: ``C``.
        dropout: Dropout before the output while training.
        start: What the dense layer starts as: ``identity``, or ``backbone`` for a copy of the
            network's own pooler, where it has one.
        shared: ``dense`` if all exits below the top have one dense layer, ``all`` if they have all
            in common; ``nothing`` by default.

    Raises:
        UserError: There is no such start, or nothing of the kind to share.
    """

    def __init__(
        self,
        width: int,
        num_classes: int,
        *,
        dropout: float = 0.1,
        start: str = "identity",
        shared: str = "nothing",
    ) -> None:
        super().__init__()
        if start not in STARTS:
            raise unknown_name("start of the head pooled", start, STARTS)
        if shared not in SHARED:
            raise unknown_name("what heads pooled share", shared, SHARED)
        self._start, self._shared = start, shared
        self.dense = nn.Linear(width, width)
        nn.init.eye_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(width, num_classes)

    def forward(self, hidden: Tensor, past: Tensor | None = None, /) -> Tensor:
        """States ``[N, H]`` to logits ``[N, C]``."""
        return self.project(self.dropout(self.dense(hidden).tanh()))

    def start_from(self, pooler: nn.Linear | None) -> None:
        """See ``ExitHead``."""
        if self._start == "backbone" and pooler is not None:
            self.dense.load_state_dict(pooler.state_dict())

    def share(self, first: ExitHead) -> None:
        """See ``ExitHead``."""
        if self._shared == "nothing" or not isinstance(first, PooledHead):
            return
        self.dense = first.dense
        if self._shared == "all":
            self.project = first.project

    @property
    def macs(self) -> int:
        """Multiply-accumulates per row."""
        width = self.dense.in_features
        return width * width + width * self.project.out_features
