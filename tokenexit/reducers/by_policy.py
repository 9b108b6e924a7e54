"""Take rows out at depths that their tokens had beforehand (HashEE on texts)."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from tokenexit.errors import UserError
from tokenexit.policies import Policy, PolicyLike, State, ThresholdSpec, from_config
from tokenexit.policies.assigned_depth import AssignedDepth
from tokenexit.policies.hash import Hash
from tokenexit.policies.rule import Rule
from tokenexit.reducers.base import REDUCERS, Fate, Place, Reducer
from tokenexit.reducers.rows import Rows

SPECIAL = "special"


@REDUCERS.register("by_policy")
@dataclass(frozen=True)
class ByPolicy(Reducer):
    """A row is computed as deep as a policy of token ids says.

    HashEE (Sun et al. 2022) as its released code classifies texts: a row whose token has depth
    ``d`` runs through layers 1 to ``d``, and later layers read the state it has then (``copy``);
    the network's top classifies the first row. There special tokens run to the top, as here with
    ``whole="special"``; the first row always does. There padding is attended to, here there is
    none.

    Args:
        policy: One that knows the layer of each token beforehand: ``hash``, ``assigned_depth``,
            ``token_buckets``, ``token_frequency``.
        fate: What becomes of the rows.
        place: ``before`` a layer; there is nothing of it to read.
        whole: Ids of tokens that run to the top whatever the policy says; ``special`` for those of
            the tokenizer, which ``use_reducer`` fills in.

    Raises:
        UserError: ``whole`` is neither, the policy looks at more than tokens, or a setting is
            unknown.
    """

    policy: PolicyLike = dataclasses.field(default_factory=Hash)
    fate: Fate = "copy"
    place: Place = "before"
    whole: tuple[int, ...] | str = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        policy = from_config(self.policy)
        if _rule(policy, 12) is None:
            raise UserError(
                "by_policy wants a policy that knows each token's layer beforehand: hash, "
                f"assigned_depth, token_buckets or token_frequency, not {policy!r}."
            )
        object.__setattr__(self, "policy", policy)
        if self.whole != SPECIAL:
            object.__setattr__(self, "whole", _ids(self.whole))

    def keep(self, rows: Rows, state: State) -> tuple[Tensor, State]:
        """Those that the policy would not have let out at the layer before."""
        if rows.num_layers not in self._rules:
            self._rules[rows.num_layers] = _rule(from_config(self.policy), rows.num_layers)
        rule = self._rules[rows.num_layers]
        assert rule is not None and rule.depths is not None
        past = rows.layer - 2
        if past < 0 or not rule.asked[past]:
            return torch.ones_like(rows.pinned), state
        keep = rule.depths(rows.item_id, rows.position) >= rule.thresholds[past][0]
        if isinstance(self.whole, str):
            raise UserError(
                'by_policy with whole="special" has to be told the tokens: model.use_reducer does '
                "it, or give their ids, whole=(101, 102)."
            )
        for token in self.whole:
            keep = keep | (rows.item_id == token)
        return keep, state

    def with_special(self, tokens: Collection[int]) -> Self:
        """With the special tokens in their place."""
        if self.whole != SPECIAL:
            return self
        return dataclasses.replace(self, whole=tuple(sorted(tokens)))

    def asked(self, layer: int, num_layers: int, longest: int) -> bool:
        """Not before the first layer, through which every row runs."""
        return layer > 1

    def threshold_spec(self) -> ThresholdSpec | None:
        """That of the policy."""
        return from_config(self.policy).threshold_spec()

    def threshold_value(self) -> float | None:
        """That of the policy."""
        return from_config(self.policy).threshold_value()

    def with_threshold(self, value: float) -> Self:
        """With the policy's threshold set."""
        return dataclasses.replace(self, policy=from_config(self.policy).with_threshold(value))

    @cached_property
    def _rules(self) -> dict[int, Rule | None]:
        return {}

    @classmethod
    def examples(cls) -> list[Self]:
        """A hash, and a small table."""
        return [cls(Hash(1, 5)), cls(AssignedDepth(4, ((5, 1), (7, 2))), fate="drop", whole=(7,))]


def _ids(value: object) -> tuple[int, ...]:
    """Ids of tokens, as a tuple.

    Raises:
        UserError: It is none.
    """
    if isinstance(value, list | tuple) and all(type(n) is int and n >= 0 for n in value):
        return tuple(value)
    raise UserError(
        f'ByPolicy.whole must be "special" or ids of tokens such as [101, 102], not {value!r}.'
    )


def _rule(policy: Policy, num_layers: int) -> Rule | None:
    """The rule of a policy that goes by tokens alone, one line a layer; else None."""
    rule = policy.as_rule(num_layers, 2)
    if rule is None or rule.score != "depth" or rule.counts or rule.pools:
        return None
    return rule if len(rule.thresholds[0]) == 1 else None
