"""Decisions by the rule that a policy states, in fewer calls of torch than its steps take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tokenexit.halting.visitor import PolicyVisitor
from tokenexit.policies import Policy
from tokenexit.policies.rule import OF_LOGITS, Rule
from tokenexit.policies.rule_decide import Seen, begin, decide, score
from tokenexit.signals import Signals


class RuleVisitor(PolicyVisitor):
    """``PolicyVisitor`` for a policy with a rule about logits: the same decisions.

    Args:
        policy: Who halts.
        rule: What ``stated`` says of it.
        num_words: Words in the batch, on the CPU.
    """

    def __init__(self, policy: Policy, rule: Rule, num_words: int) -> None:
        super().__init__(policy, num_words, "cpu")
        self.state = None
        self._rule = rule
        self._lines = torch.from_numpy(rule.lines())
        self._alone = not (rule.counts or rule.pools)
        self._state: Any = None if self._alone else begin(rule, num_words)

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        """Compare the number of each row; at the top everybody leaves without being asked."""
        self._arrived = (signals, words)
        layer, rule = signals.layer, self._rule
        if layer == signals.num_layers or not rule.asked[layer - 1]:
            return None
        if not self._alone:
            rows = Seen(signals.logits, None, signals.sequence, signals.position)
            halt, self._state = decide(rule, layer, self._state, rows)
            return halt
        logits, line = signals.logits, self._lines[layer - 1]
        number, _ = score(rule, logits, None)
        # A row with a NaN has a number that is none, and whichever threshold.
        limit = line if len(line) == 1 else line[logits.max(dim=-1).indices]
        return number < limit if rule.low else number > limit

    def leave(self, halted: Tensor, staying: Tensor) -> None:
        """Note the scores of those that left, keep what is remembered of those that stay."""
        kept = self._state
        super().leave(halted, staying)
        self._state = None if kept is None else kept.of(staying)


def stated(
    policy: Policy, num_layers: int, classes: Sequence[str], exits: Sequence[int]
) -> Rule | None:
    """The rule of a policy, if it is one about logits alone that tells its decisions.

    Args:
        policy: Who halts.
        num_layers: Depth of the network.
        classes: Names of the classes.
        exits: Layers with an exit head.
    """
    rule = policy.as_rule(num_layers, len(classes), classes, exits)
    return rule if rule is not None and rule.score in OF_LOGITS and not rule.shortlist else None
