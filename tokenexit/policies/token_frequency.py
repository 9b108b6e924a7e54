"""Halt the sooner the more frequent a row's token is (HashEE by frequency)."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from tokenexit.errors import UserError
from tokenexit.policies.base import POLICIES, State
from tokenexit.policies.hash_tables import equal_shares
from tokenexit.policies.rule import Network, Rule
from tokenexit.policies.rule_depth import assigned
from tokenexit.policies.token_table import TokenTable
from tokenexit.signals import Signals


@POLICIES.register("token_frequency")
@dataclass(frozen=True)
class TokenFrequency(TokenTable):
    """A token's depth is ``first``, and one more for each boundary its frequency rank reaches.

    HashEE by frequency (Sun et al. 2022). Against ``AssignedDepth`` with a table it has a threshold
    that moves all tokens, and needs no table where ids are sorted by frequency themselves, as
    those of most SentencePiece vocabularies nearly are. When decoding, a row's token is the
    one that was read, not the one to be predicted. No logits are read.

    Args:
        boundaries: Ranks, from 0, at which the next depth begins, rising.
        first: Depth of the most frequent tokens; more is stricter.
        frequent: Ids of the most frequent tokens, the first of them first; all others are
            the rarest. When empty, a token's id is its rank.

    Raises:
        UserError: ``boundaries`` are no rising whole numbers, ``frequent`` no different ones, or
            ``first`` none from 1 to 1000.
    """

    in_words = "by how frequent a token is, from layer {first:d} on"

    boundaries: tuple[int, ...] = (100, 1000, 10_000)
    first: int = 1
    frequent: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("boundaries", "frequent"):
            object.__setattr__(self, name, _whole_numbers(self, name))
        if any(low > high for low, high in itertools.pairwise(self.boundaries)):
            raise UserError(
                "TokenFrequency.boundaries must rise, for example (100, 1000), "
                f"not {self.boundaries}."
            )
        if len({*self.frequent}) < len(self.frequent):
            raise UserError("TokenFrequency.frequent must name a token once, and repeats some.")

    @classmethod
    def from_counts(cls, counts: Mapping[int, int], depths: int, first: int = 1) -> Self:
        """Give each of several depths an equal share of a text.

        The released code cuts the *vocabulary* into equal parts, and has this rule commented
        out beside it; by the former, nearly all of a text leaves at the first depth.

        Args:
            counts: ``{token id: occurrences}``, for example a ``collections.Counter``.
            depths: How many different depths, from 1.
            first: The smallest of them.

        Raises:
            UserError: Nothing was counted, or ``depths`` is no whole number above 0.
        """
        ranked = sorted(counts, key=lambda item: (-counts[item], item))
        boundaries = equal_shares(ranked, counts, depths)
        return cls(boundaries, first, tuple(ranked[: max(boundaries, default=0)]))

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Compare the layer with each token's depth; the state is that of the table, if any."""
        if self.frequent:
            return super().step(signals, state)
        return signals.layer >= self._by_id(signals.item_id), state

    def rule_for(self, network: Network) -> Rule:
        """A layer for each row, from the list or the id."""
        if self.frequent:
            return super().rule_for(network)
        return assigned(network, lambda items, place: self._by_id(items))

    def _by_id(self, item_id: Tensor) -> Tensor:
        reached = [item_id >= boundary for boundary in self.boundaries]
        return sum((mask.long() for mask in reached), torch.full_like(item_id, self.first))

    def buckets(self) -> tuple[Mapping[int, int], int]:
        """Those of the list, and the last for all others."""
        ranked = enumerate(self.frequent)
        listed = {token: bisect_right(self.boundaries, rank) for rank, token in ranked}
        return listed, len(self.boundaries)

    @classmethod
    def examples(cls) -> list[Self]:
        """By id, and by a list."""
        return [cls((8, 16, 24)), cls((1, 4), 1, (9, 5, 20, 11, 3))]


def _whole_numbers(policy: TokenFrequency, name: str) -> tuple[int, ...]:
    value = getattr(policy, name)
    whole = isinstance(value, tuple | list) and all(
        isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in value
    )
    if not whole:
        raise UserError(
            f"TokenFrequency.{name} must be a tuple of whole numbers from 0, not {value!r}."
        )
    return tuple(value)
