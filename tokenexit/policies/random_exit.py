"""Halt at a depth drawn for each row: the baseline without any judgement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from tokenexit.policies.base import POLICIES, Policy, State, ThresholdSpec
from tokenexit.policies.hash import hash_bits
from tokenexit.policies.rule import Network, Rule
from tokenexit.policies.rule_depth import assigned
from tokenexit.policies.value import number, whole
from tokenexit.signals import Signals

_KEPT = 24
"""Bits of hash that a float32 holds exactly."""


@POLICIES.register("random_exit")
@dataclass(frozen=True)
class RandomExit(Policy):
    """Halt at every exit with probability ``rate``, whatever the exit says.

    What a criterion knows is what it gains over leaving at random at the same mean depth. One
    number is drawn for each row, from its token and its place (when decoding, its step), so that
    the draw is the same in every batch, process and order; two texts with the same word at the
    same place share it. No logits are read. ``Hash`` draws for each token of the vocabulary.

    Args:
        rate: 0 (never) to 1 (always at the first exit); depths are geometric.
        seed: Another seed is another, independent draw.

    Raises:
        UserError: ``rate`` is NaN or outside 0..1, or ``seed`` no whole number of 32 bits.
    """

    in_words = "at random, with {rate} at each exit"

    rate: float = number(0.2, 0.0, 1.0)
    seed: int = whole(0, 0, 0xFFFFFFFF)
    own_threshold = ThresholdSpec("rate", strict=0.001, loose=1.0, log=True)
    reads_logits = False

    def init(self, num_rows: int, device: torch.device | str = "cpu") -> State:
        """Probability of being still here, 1 for everybody, ``[N]``."""
        return torch.ones(num_rows, device=device)

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Compare each row's draw with the probability of being still here after this exit."""
        here = state * (1.0 - self.rate)
        return self.draw(signals) >= here, here

    def draw(self, signals: Signals) -> Tensor:
        """One number a row, ``[N]`` in 0 to below 1."""
        place = signals.position if signals.step is None else signals.step
        return self._number(signals.item_id, place)

    def _number(self, item_id: Tensor, place: Tensor) -> Tensor:
        bits = hash_bits(hash_bits(item_id, self.seed) + place, self.seed)
        return (bits >> (32 - _KEPT)).float() / 2**_KEPT

    def rule_for(self, network: Network) -> Rule:
        """A layer for each row: the first exit at which its draw is reached."""
        exits = [layer for layer, asked in enumerate(network.asked, 1) if asked]
        here, bounds = self.init(1), []
        for _ in exits:
            here = here * (1.0 - self.rate)
            bounds.append(here)
        layers = torch.tensor([*exits, len(network.asked) + 1])

        def depths(items: Tensor, place: Tensor) -> Tensor:
            missed = sum((self._number(items, place) < bound).long() for bound in bounds)
            return layers[missed] if exits else torch.full_like(items, int(layers[0]))

        return assigned(network, depths)

    @classmethod
    def examples(cls) -> list[Self]:
        """Two rates."""
        return [cls(0.3), cls(0.6, seed=1)]
