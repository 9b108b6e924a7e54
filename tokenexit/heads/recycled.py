"""A head that recycles what the classifiers before it have read (multi-perspective method)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tokenexit.heads.base import HEADS, ExitHead


@HEADS.register("recycled")
class RecycledHead(ExitHead):
    """BERT's kind of head with a memory: ``W tanh(D h_i + R mean(h_1..h_(i-1)))``.

    After the unified multi-perspective method (Kong et al. 2022), of which an abstract could be
    read: its exits recycle the memory of earlier classifiers. That this is the mean of the states
    they have read, added before the activation, is ours. An exit begins by reading its own state
    as a linear head would: ``D`` starts as the identity, ``R`` as nothing.

    Args:
        width: As of ``build_head``.
        num_classes: As there.
        place: As there.
        dropout: Before the output while training.
    """

    reads_past = True

    def __init__(
        self, width: int, num_classes: int, place: int = 0, *, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        nn.init.eye_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)
        self.memory = nn.Linear(width, width, bias=False) if place else None
        if self.memory is not None:
            nn.init.zeros_(self.memory.weight)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(width, num_classes)

    def forward(self, hidden: Tensor, past: Tensor | None = None, /) -> Tensor:
        """States ``[N, H]`` and those before, ``[N, E, H]``, to logits ``[N, C]``."""
        read = self.dense(hidden)
        if self.memory is not None and past is not None:
            read = read + self.memory(past.mean(dim=1))
        return self.project(self.dropout(torch.tanh(read)))

    @property
    def macs(self) -> int:
        """Multiply-accumulates per row."""
        width = self.dense.in_features
        dense = width * width if self.memory is None else 2 * width * width
        return dense + width * self.project.out_features
