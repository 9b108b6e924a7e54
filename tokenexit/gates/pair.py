"""A small network on two successive states (PALBERT)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tokenexit.gates.base import GATES, ExitGate
from tokenexit.signals import Signals


@GATES.register("pair")
class PairGate(ExitGate):
    """PALBERT's gate (Balagansky and Gavrilov 2022): how likely is it to leave here?

    Three layers of tanh on the states of the exit before and of this one, beside a learned
    embedding of the depth; shared by all exits. At the first exit the state before is zero. It is
    the probability of leaving *given that the row has come so far*, which the objective
    ``palbert`` trains and the policy ``q_exit`` adds up.

    Args:
        width: Width of the states, ``H``.
        num_classes: Not looked at.
        exits: Layers with an exit, the top excluded.
        inner: Width of the hidden layers.
        wide: Whether they are twice as wide as the states instead, as in the released code.
    """

    taught = None

    def __init__(
        self,
        width: int,
        num_classes: int,
        exits: Sequence[int],
        *,
        inner: int = 64,
        wide: bool = False,
    ) -> None:
        super().__init__()
        inner = 2 * width if wide else inner
        self.depth = nn.Embedding(max(exits, default=0) + 1, inner)
        self.before = nn.Linear(width, inner, bias=False)
        self.now = nn.Linear(width, inner)
        self.middle = nn.Linear(inner, inner)
        self.last = nn.Linear(inner, inner)
        self.project = nn.Linear(inner, 1)

    def forward(self, signals: Signals) -> Tensor:
        """Probabilities ``[N]``."""
        hidden, before = signals.hidden, signals.previous_hidden
        before = torch.zeros_like(hidden) if before is None else before
        depth = torch.full_like(signals.item_id, signals.layer).clamp_max(
            self.depth.num_embeddings - 1
        )
        found = torch.tanh(self.before(before) + self.now(hidden) + self.depth(depth))
        found = torch.tanh(self.last(torch.tanh(self.middle(found))))
        return self.project(found).squeeze(-1).float().sigmoid()

    @property
    def macs(self) -> int:
        """Multiply-accumulates per row."""
        width, inner = self.now.in_features, self.now.out_features
        return 2 * width * inner + 2 * inner * inner + inner
