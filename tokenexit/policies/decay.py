"""Loosen a threshold as a text grows (CALM)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor

from tokenexit.errors import UserError
from tokenexit.policies.base import POLICIES, Policy, State, rule_of
from tokenexit.policies.entropy import Entropy
from tokenexit.policies.margin import Margin
from tokenexit.policies.rule import Network, Rule
from tokenexit.policies.threshold import ThresholdPolicy
from tokenexit.policies.value import number
from tokenexit.policies.wrapper import WrapperPolicy
from tokenexit.signals import Signals

FIXED = 0.9
"""Share of the threshold that does not decay."""


@POLICIES.register("decay")
@dataclass(frozen=True)
class Decay(WrapperPolicy):
    """The inner policy's threshold is strict at the first decoding steps and loosens later.

    CALM (Schuster et al. 2022): an early mistake harms all that follows. At step ``t`` of ``N``
    the threshold ``v`` becomes ``clip(0.9 v + 0.1 exp(-temperature * t / N))``. Other thresholds
    than probabilities are first mapped to 0 (loose end) .. 1 (strict end), on a logarithmic scale
    where the threshold has one; that mapping is ours.

    Two deviations: at the strict end nobody leaves at any step, where the formula would fall to
    0.902 and break "the strictest setting is the full model"; and the released t5x code, whose
    second term is multiplied by the threshold as well, is not followed.

    Args:
        policy: Whose threshold decays; one that compares a score with a threshold.
        temperature: How soon it loosens; CALM uses 4. 0 is a constant ``0.9 v + 0.1``.

    Raises:
        UserError: ``policy`` has no threshold or ``temperature`` is out of range; when asked,
            nothing is being decoded or the number of steps is unknown.
    """

    in_words = "{policy}, strict at first and looser along the text"

    policy: Policy = field(default=Margin(0.9))
    temperature: float = number(4.0, 0.0, 1000.0)
    units = ("token",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.policy, ThresholdPolicy) or self.policy.own_threshold is None:
            raise UserError(
                "Decay loosens a threshold and needs a policy that compares a score with one, "
                f"such as Margin(0.9), not {self.policy!r}; put a combinator around it instead: "
                "FromLayer(Decay(Margin(0.9)), 2)."
            )

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Compare each row's score with the threshold of its own step."""
        assert isinstance(self.policy, ThresholdPolicy)
        limit = self.thresholds(signals.step, signals.num_steps)
        if self._strictness() >= 1.0:
            return signals.none(), state
        return self.policy.sure(self.policy.score(signals), limit), state

    def thresholds(self, step: Tensor | None, num_steps: int | None) -> Tensor:
        """Of the inner policy, at decoding steps ``[N] -> [N]`` float32.

        Args:
            step: From 0; None outside decoding.
            num_steps: Largest number of steps of this generation; None where nobody knows.

        Raises:
            UserError: One of them is not known.
        """
        if step is None or not num_steps:
            missing = "decoding step" if step is None else "largest number of steps"
            raise UserError(
                f"Decay loosens a threshold over the steps of decoding, and there is no {missing} "
                "here: generate text with a largest length, or use the policy inside it, "
                f"{self.policy!r}."
            )
        age = step.to(torch.float32) / num_steps
        now = FIXED * self._strictness() + (1.0 - FIXED) * torch.exp(-self.temperature * age)
        return self._threshold(now.clamp(0, 1))

    def rule_for(self, network: Network) -> Rule | None:
        """That of the inner policy, with another threshold at every step."""
        inner = rule_of(self.policy, network)
        if inner is None or inner.score == "never":
            return inner
        if self._strictness() >= 1.0:
            inner = replace(inner, asked=(False,) * len(inner.asked))
        return replace(inner, schedule=self.thresholds)

    def _ends(self) -> tuple[float, float, bool]:
        """Loose and strict end of the inner threshold, and whether they are logarithms."""
        assert self.policy.own_threshold is not None
        spec = self.policy.own_threshold
        if spec.log:
            return math.log(spec.loose), math.log(spec.strict), True
        # A probability counts as it is, so that the published formula holds to the digit.
        probability = spec.strict == 1.0 and spec.loose >= 0.0
        return 0.0 if probability else spec.loose, spec.strict, False

    def _strictness(self) -> float:
        """Where the inner threshold stands: 0 is the loose end, 1 the strict one."""
        loose, strict, log = self._ends()
        value = self.threshold_value()
        assert value is not None
        if log:
            value = math.log(value) if value > 0 else -math.inf
        return min(max((value - loose) / (strict - loose), 0.0), 1.0)

    def _threshold(self, strictness: Tensor) -> Tensor:
        """The inner threshold of each row, ``[N]``."""
        loose, strict, log = self._ends()
        value = loose + (strict - loose) * strictness
        return value.exp() if log else value

    @classmethod
    def examples(cls) -> list[Self]:
        """CALM's own, and a threshold that is strict at its lower end."""
        return [cls(Margin(0.6)), cls(Entropy(0.3), 1.0)]
