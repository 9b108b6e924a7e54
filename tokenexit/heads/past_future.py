"""A head that reads earlier states and guesses later ones (Global Past-Future)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tokenexit.heads.base import HEADS, ExitHead


@HEADS.register("past_future")
class PastFutureHead(ExitHead):
    """Classifies from all earlier states and from imitations of those to come (Liao et al. 2021).

    ``2 g W [h_1..h_i] + 2 (1 - g) V [f_i+1..f_L]`` where ``f_j`` is a dense layer with tanh that
    imitates the state of exit ``j`` and ``g`` a gate on the state. The objective ``imitation``
    trains the imitations. The released imitators and matrices of classes are shared among
    exits, its states pass a pooler first and its gate, one a class, reads all of them so far; here
    each exit has its own and reads states as they are.

    Args:
        width: Width of the states, ``H``.
        num_classes: ``C``.
        place: Number of exits before this one.
        exits: Number of all exits, with the top.
        dropout: Dropout before the output while training.
        detach: Whether no gradient passes to the states of earlier exits, as in the released code.
    """

    reads_past = True

    def __init__(
        self,
        width: int,
        num_classes: int,
        place: int = 0,
        exits: int = 2,
        *,
        dropout: float = 0.1,
        detach: bool = False,
    ) -> None:
        super().__init__()
        self._detach = detach
        self.later = max(exits - place - 1, 1)
        self.imitators = nn.Linear(width, self.later * width)
        self.gate = nn.Linear(width, 1)
        self.dropout = nn.Dropout(dropout)
        self.from_past = nn.Linear((place + 1) * width, num_classes)
        self.from_future = nn.Linear(self.later * width, num_classes, bias=False)

    def imitate(self, hidden: Tensor) -> Tensor:
        """States ``[N, H]`` to guesses of the later exits' states, ``[N, later, H]``."""
        return self.imitators(hidden).tanh().unflatten(-1, (self.later, -1))

    def forward(self, hidden: Tensor, past: Tensor | None = None, /) -> Tensor:
        """States ``[N, H]`` and those before, ``[N, E, H]``, to logits ``[N, C]``."""
        if past is not None and self._detach:
            past = past.detach()
        known = hidden if past is None else torch.cat([past.flatten(1), hidden], dim=-1)
        share = self.gate(hidden).sigmoid()
        guessed = self.imitate(hidden).flatten(1)
        seen = self.from_past(self.dropout(known))
        return 2 * share * seen + 2 * (1 - share) * self.from_future(self.dropout(guessed))

    @property
    def macs(self) -> int:
        """Multiply-accumulates per row."""
        width, classes = self.gate.in_features, self.from_past.out_features
        return self.later * width * (width + classes) + self.from_past.in_features * classes + width
