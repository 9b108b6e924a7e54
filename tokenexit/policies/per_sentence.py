"""Halt whole sentences only (SENTEE)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor

from tokenexit.errors import UserError, unknown_name
from tokenexit.policies.base import POLICIES, Policy, State, rule_of
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.rule import Network, Rule
from tokenexit.policies.rule_join import pooled
from tokenexit.policies.threshold import ThresholdPolicy
from tokenexit.policies.wrapper import WrapperPolicy
from tokenexit.signals import Signals


@POLICIES.register("per_sentence")
@dataclass(frozen=True)
class PerSentence(WrapperPolicy):
    """All unfinished rows of a sentence halt together.

    SENTEE (Li et al. 2021) takes the largest or the mean uncertainty of a sentence. For a
    threshold the largest equals asking all rows, and that form serves any inner policy.

    Args:
        policy: Who would halt on its own.
        how: ``"max"``, when every row would halt; ``"mean"``, when the rows' mean score is on
            the sure side, which needs a policy that compares a score with a threshold.

    Raises:
        UserError: ``how`` is unknown, or ``"mean"`` of a policy without a score.
    """

    in_words = "{policy}, for the whole sentence ({how})"

    policy: Policy = field(default=Entropy(0.1))
    how: str = "max"
    units = ("word",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.how not in ("max", "mean"):
            raise unknown_name("PerSentence.how", self.how, ("max", "mean"))
        if self.how == "mean" and not isinstance(self.policy, ThresholdPolicy):
            raise UserError(
                "PerSentence(how='mean') averages a score and needs a policy with a score and a "
                f"threshold, such as Entropy(0.1), not {self.policy!r}; use how='max', or put "
                "the other policy around: FromLayer(PerSentence(Entropy(0.1), how='mean'))."
            )

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Pool the rows of each sentence."""
        where = signals.sequence
        if self.how == "mean" and isinstance(self.policy, ThresholdPolicy):
            score = self.policy.score(signals)
            # In float64 the order of adding, which a GPU leaves open, does not show.
            total = score.new_zeros(signals.num_sequences, dtype=torch.float64)
            here, score = torch.ones_like(score, dtype=torch.float64), score.double()
            if signals.gone is not None:
                here, score = (part.masked_fill(signals.gone, 0.0) for part in (here, score))
            rows = total.index_add(0, where, here)
            total = total.index_add(0, where, score)
            return self.policy.sure((total / rows)[where].float()), state
        halt, state = self.policy.step(signals, state)
        halt = halt if signals.gone is None else halt | signals.gone
        unsure = torch.zeros(signals.num_sequences, dtype=torch.int32, device=halt.device)
        return unsure.index_add(0, where, (~halt).int())[where] == 0, state

    def rule_for(self, network: Network) -> Rule | None:
        """That of the inner policy, asked of the whole sentence."""
        pool = "sentence_mean" if self.how == "mean" else "sentence"
        return pooled(rule_of(self.policy, network), pool=pool)

    @classmethod
    def examples(cls) -> list[Self]:
        """Both ways of pooling."""
        return [cls(Entropy(0.5)), cls(Entropy(0.5), how="mean")]
