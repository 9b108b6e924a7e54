"""Exits that learn to guess the states of later ones (Global Past-Future)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective
from tokenexit.objectives.settings import exit_weights, number
from tokenexit.objectives.weights import layer_weights
from tokenexit.signals import Signals


@OBJECTIVES.register("imitation")
@dataclass(frozen=True)
class Imitation(Objective):
    """A global past-future early exit (Liao et al. 2021): heads of the kind ``past_future``.

    Half of the loss is the exits' cross-entropy, half the mean of ``1 - cos(f_j, h_j)`` over the
    states that an exit imitates, which stay fixed. The paper also drops the lower layers'
    gradients at random, which is not done here.

    Args:
        share: Share of the imitation, 0 to below 1.
        weights: ``depth``, ``top``, ``uniform`` or the top's share over exits.

    Raises:
        UserError: A setting is out of range, or the heads do not imitate.
    """

    share: float = number(0.5, low=0, below=1)
    weights: str | float = exit_weights("depth")

    asks: ClassVar[Mapping[str, str]] = {"head": "past_future"}

    def start(self, info: BatchInfo) -> BatchLoss:
        """Keep the guesses; each later state is compared when it is there."""
        return _Imitating(layer_weights(self.weights, info.exit_layers), self.share)


class _Imitating(BatchLoss):
    def __init__(self, weights: dict[int, float], share: float) -> None:
        super().__init__()
        self._weights, self._share = weights, share
        self._guesses: list[Tensor] = []

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        assert signals.target is not None
        self.cross_entropy(signals, (1 - self._share) * self._weights[signals.layer])
        known = signals.known
        state, place = signals.hidden[known].detach().float(), len(self._guesses)
        pairs = max(len(self._weights) * (len(self._weights) - 1) / 2, 1)
        for before, guesses in enumerate(self._guesses):
            guess = guesses[:, place - before - 1].float()
            gap = 1 - F.cosine_similarity(guess, state, dim=-1)
            self.add(self._share / pairs * gap.sum())
        if signals.layer < signals.num_layers:
            self._guesses.append(signals.exit_head.imitate(signals.hidden[known]))
        return None
