"""Halt at a depth drawn once and for all for every token of the vocabulary (HashEE)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from torch import Tensor

from tokenexit.errors import UserError
from tokenexit.policies.base import POLICIES, Policy, State, ThresholdSpec
from tokenexit.policies.rule import Network, Rule
from tokenexit.policies.rule_depth import assigned
from tokenexit.policies.value import whole
from tokenexit.signals import Signals

MAX_LAYER = 1000
_MASK = 0xFFFFFFFF
_GOLDEN = 0x9E3779B9
_MULTIPLIER = 0x45D9F3B


@POLICIES.register("hash")
@dataclass(frozen=True)
class Hash(Policy):
    """Halt at the layer to which the token's id is hashed.

    HashEE (Sun et al. 2022), its random consistent form: a token has the same depth in
    training and inference, wherever it stands, and deciding costs nothing. No logits are
    read. The depths are the same in every process and on every platform.

    Args:
        min_layer: Smallest depth a token may get.
        max_layer: Largest depth; raising it never makes any token's depth smaller.
        seed: Another seed is another, independent assignment.

    Raises:
        UserError: A field is no whole number in its range, or ``min_layer > max_layer``.
    """

    in_words = "at a layer drawn for each word of the vocabulary, {min_layer:d} to {max_layer:d}"

    min_layer: int = whole(1, 1, MAX_LAYER)
    max_layer: int = whole(6, 1, MAX_LAYER)
    seed: int = whole(0, 0, _MASK)
    own_threshold = ThresholdSpec("max_layer", strict=MAX_LAYER, loose=1, integer=True, log=True)
    reads_logits = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_layer > self.max_layer:
            raise UserError(
                f"Hash.min_layer must not exceed max_layer: {self.min_layer} > {self.max_layer}."
            )

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Compare the layer with each token's depth."""
        return signals.layer >= self.depth(signals.item_id), state

    def depth(self, item_id: Tensor) -> Tensor:
        """Depth of tokens, ``[N] -> [N]``, long.

        Args:
            item_id: Vocabulary ids, long.
        """
        bits = hash_bits(item_id, self.seed)
        # Scaling, unlike a remainder, only ever moves a token up when the range grows.
        span = int(self.max_layer) - int(self.min_layer) + 1
        return int(self.min_layer) + ((bits * span) >> 32)

    def threshold_spec(self) -> ThresholdSpec:
        """``max_layer``, down to ``min_layer``."""
        return ThresholdSpec("max_layer", MAX_LAYER, self.min_layer, integer=True, log=True)

    def rule_for(self, network: Network) -> Rule:
        """A layer for each row."""
        return assigned(network, lambda items, place: self.depth(items))

    @classmethod
    def examples(cls) -> list[Self]:
        """Two ranges."""
        return [cls(1, 6), cls(2, 4, seed=1)]


def hash_bits(values: Tensor, seed: int) -> Tensor:
    """Hash whole numbers to 32 bits, ``[N] -> [N]``, long, the same everywhere.

    Args:
        values: Whole numbers, long.
        seed: Another seed is another, independent hash.
    """
    # 32 bits of hash in 64-bit integers: no product overflows, so every device agrees.
    start = (int(seed) + 1) * _GOLDEN & _MASK
    bits = (values + start) & _MASK
    for _ in range(2):
        bits = ((bits ^ (bits >> 16)) * _MULTIPLIER) & _MASK
    return bits ^ (bits >> 16)
