"""BERT's head for masked tokens, one for every exit: for pre-training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tokenexit.heads.base import HEADS, ExitHead


@HEADS.register("masked_lm")
class MaskedLMHead(ExitHead):
    """Dense layer as wide as the state, GELU, layer norm, linear (BERT, Devlin et al. 2019).

    Args:
        width: Width of the states, ``H``.
        num_classes: ``C``, as many as the vocabulary has entries.
    """

    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.activation = nn.GELU()
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, num_classes)

    def forward(self, hidden: Tensor, past: Tensor | None = None, /) -> Tensor:
        """States ``[N, H]`` to logits ``[N, C]``."""
        return self.project(self.norm(self.activation(self.dense(hidden))))

    @torch.no_grad()
    def start_from_words(self, embeddings: Tensor) -> None:
        """Begin with a copy of the word embeddings, ``[C, H]``, where they have this shape."""
        if embeddings.shape == self.project.weight.shape:
            self.project.weight.copy_(embeddings)
            self.project.bias.zero_()

    @property
    def macs(self) -> int:
        """Multiply-accumulates per row."""
        width = self.dense.in_features
        return width * width + width * self.project.out_features
