"""Halt at a depth fixed beforehand, for all rows or by a table of tokens."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

from tokenexit.errors import UserError
from tokenexit.policies.base import POLICIES, Policy, State, ThresholdSpec, check_pairs
from tokenexit.policies.rule import Network, Rule
from tokenexit.policies.rule_depth import assigned
from tokenexit.policies.value import whole
from tokenexit.signals import Signals

MAX_DEPTH = 1000


@POLICIES.register("assigned_depth")
@dataclass(frozen=True)
class AssignedDepth(Policy):
    """Halt at the first exit whose layer has reached the row's assigned depth.

    Without a table this is the static network cut at ``depth``, the baseline every dynamic
    policy has to beat. With one it is HashEE by frequency or mutual information (Sun et al.
    2022) and the look-up form of Faster Depth-Adaptive Transformers (Liu et al. 2021). No
    logits are read.

    Args:
        depth: Layer of all rows that are not in the table; more is stricter.
        by_item: ``{token id: layer}`` or pairs of the same; kept as a sorted tuple of pairs.

    Raises:
        UserError: A depth is no whole number from 1 to 1000, an id no whole number, or an id
            is given twice.
    """

    in_words = "at layer {depth:d}"

    depth: int = whole(3, 1, MAX_DEPTH)
    by_item: Mapping[int, int] | tuple[tuple[int, int], ...] = ()
    units = ("word", "token", "text", "number")
    own_threshold = ThresholdSpec("depth", strict=48, loose=1, integer=True, log=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_table(self, "by_item", "depths", 1, MAX_DEPTH)

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Compare the layer with each row's depth.

        The state is None or, once the table has been looked up, the depths ``[N]``.
        """
        if not self.by_item:
            reached = signals.layer >= self.depth
            return torch.full_like(signals.item_id, reached, dtype=torch.bool), state
        depth = self.depth_of(signals.item_id) if state is None else state
        return signals.layer >= depth, depth

    def depth_of(self, item_id: Tensor) -> Tensor:
        """Depth of tokens by the table, which is not empty, ``[N] -> [N]``, long."""
        device = item_id.device
        if device not in self._tables:
            table = dict(self.by_item)
            self._tables[device] = (
                torch.tensor(list(table), device=device),
                torch.tensor(list(table.values()), device=device),
            )
        keys, depths = self._tables[device]
        place = torch.searchsorted(keys, item_id).clamp_max(len(keys) - 1)
        return torch.where(keys[place] == item_id, depths[place], self.depth)

    @cached_property
    def _tables(self) -> dict[torch.device, tuple[Tensor, Tensor]]:
        # Kept by device: copying the table there at every decoding step would wait for it.
        return {}

    def rule_for(self, network: Network) -> Rule:
        """The same layer for all rows, or one for each by the table."""
        if self.by_item:
            return assigned(network, lambda items, place: self.depth_of(items))
        later = network.only(lambda layer: layer >= self.depth)
        return assigned(later, lambda items, place: torch.full_like(items, int(self.depth)))

    @classmethod
    def examples(cls) -> list[Self]:
        """The static baseline, and a small table."""
        return [cls(3), cls(4, ((5, 1), (7, 2)))]


def check_table(policy: Any, field: str, kind: str, low: int, high: int) -> None:
    """Refuse a field that is no table of tokens; make it a sorted tuple of pairs.

    Args:
        policy: Whose field it is.
        field: Its name.
        kind: What the table gives, for messages.
        low: The smallest of it.
        high: The largest.

    Raises:
        UserError: It is no table, a number is out of range, or a token is given twice.
    """
    name = f"{type(policy).__name__}.{field}"
    pairs = check_pairs(policy, field, "{101: 2, 102: 5}")
    table = sorted((_whole(name, token), _whole(name, value)) for token, value in pairs)
    for token, value in table:
        if not low <= value <= high:
            raise UserError(
                f"{name} must give {kind} from {low} to {high}, not {value} for token {token}."
            )
    for (token, _), (following, _) in itertools.pairwise(table):
        if token == following:
            raise UserError(f"{name} gives token {token} twice; leave one of them out.")
    object.__setattr__(policy, field, tuple(table))


def _whole(name: str, value: Any) -> int:
    # Keys of a JSON object are always text.
    try:
        number = None if isinstance(value, bool) else int(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or (isinstance(value, float) and value != number):
        raise UserError(
            f"{name} maps token ids to whole numbers, and has {value!r}; "
            "write for example {101: 2, 102: 5}."
        )
    return number
