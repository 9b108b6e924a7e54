"""What all policies share that give every token of the vocabulary a bucket."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property

from torch import Tensor

from tokenexit.policies.assigned_depth import MAX_DEPTH, AssignedDepth
from tokenexit.policies.base import Policy, State, ThresholdSpec
from tokenexit.policies.rule import Network, Rule
from tokenexit.policies.value import check_number
from tokenexit.signals import Signals


class TokenTable(Policy):
    """A token's depth is ``first`` plus its bucket, so that one threshold moves all tokens.

    Subclasses are frozen dataclasses with a field ``first``. No logits are read.
    """

    first: int
    own_threshold = ThresholdSpec("first", strict=48, loose=1, integer=True, log=True)

    def __post_init__(self) -> None:
        check_number(self, "first", 1, MAX_DEPTH, integer=True)

    @abstractmethod
    def buckets(self) -> tuple[Mapping[int, int], int]:
        """Bucket of each listed token, ``{token id: bucket from 0}``, and of all others."""

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Compare the layer with each token's depth; the state is that of the table."""
        return self._table.step(signals, state)

    def rule_for(self, network: Network) -> Rule:
        """That of the table."""
        return self._table.rule_for(network)

    @cached_property
    def _table(self) -> AssignedDepth:
        listed, others = self.buckets()
        depths = {token: self._depth(bucket) for token, bucket in listed.items()}
        return AssignedDepth(self._depth(others), depths)

    def _depth(self, bucket: int) -> int:
        return min(int(self.first) + bucket, MAX_DEPTH)
