"""A classifier of exits from what they say, not only from the state (CAT)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tokenexit import scores
from tokenexit.gates.base import GATES, ExitGate
from tokenexit.signals import Signals


@GATES.register("meta")
class MetaGate(ExitGate):
    """The meta classifier of confident adaptive transformers (Schuster et al. 2021).

    Predicts whether the exit disagrees with the top from a narrow reading of the state, the class
    it names, its probability and its lead over the second, and the depth. Both cases weigh the
    same in its loss at an exit, however rare disagreement is in the micro-batch. The paper also
    shows it that class's scores at earlier exits, which are not kept here.

    Args:
        width: Width of the states, ``H``.
        num_classes: ``C``.
        exits: Layers with an exit, the top excluded.
        inner: Width of the reading, 32 in the paper.
    """

    taught = "top"

    def __init__(
        self, width: int, num_classes: int, exits: Sequence[int], *, inner: int = 32
    ) -> None:
        super().__init__()
        self.read = nn.Linear(width, inner)
        self.named = nn.Embedding(num_classes, inner)
        self.depth = nn.Embedding(max(exits, default=0) + 1, inner)
        self.sure = nn.Linear(2, inner)
        self.project = nn.Linear(inner, 1)

    def forward(self, signals: Signals) -> Tensor:
        """Probabilities of disagreement, ``[N]``."""
        log_probs = scores.log_probabilities(signals.logits.detach())
        best = log_probs.topk(min(2, log_probs.shape[-1]), dim=-1)
        chance = best.values.exp()
        lead = torch.stack([chance[:, 0], chance[:, 0] - chance[:, -1]], dim=-1)
        depth = torch.full_like(signals.item_id, signals.layer).clamp_max(
            self.depth.num_embeddings - 1
        )
        found = self.read(signals.hidden) + self.sure(lead.to(signals.hidden.dtype))
        found = torch.tanh(found + self.named(best.indices[:, 0]) + self.depth(depth))
        return self.project(found).squeeze(-1).float().sigmoid()

    @property
    def macs(self) -> int:
        """Multiply-accumulates per row."""
        return self.read.in_features * self.read.out_features + 3 * self.read.out_features

    def loss(self, guess: Tensor, wrong: Tensor) -> Tensor:
        """Cross-entropy with both cases at half of the weight, summed over rows."""
        share = wrong.mean() if len(wrong) else wrong.new_zeros(())
        even = (share == 0) | (share == 1)
        one = torch.where(even, 1.0, 0.5 / share.clamp_min(1e-6))
        other = torch.where(even, 1.0, 0.5 / (1 - share).clamp_min(1e-6))
        weight = torch.where(wrong > 0, one, other)
        # Outside autocast by hand: the logarithm of a bfloat16 probability is too coarse.
        guess = guess.float().clamp(1e-6, 1 - 1e-6)
        entropy = -(wrong * guess.log() + (1 - wrong) * (1 - guess).log())
        return (weight * entropy).sum()
