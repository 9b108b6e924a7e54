"""Train on the states that inference will see: halt, copy, and go on without (TOKEE)."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log

import torch
from torch import Tensor

from tokenexit.errors import UserError
from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective, draw
from tokenexit.objectives.weights import layer_weights
from tokenexit.policies import Policy, PolicyLike, State, ThresholdSpec, from_config, index_state
from tokenexit.signals import Signals
from tokenexit.transfer import send


@OBJECTIVES.register("halt_and_copy")
@dataclass(frozen=True)
class HaltAndCopy(Objective):
    """Words halt while training, as the model being trained would let them.

    TOKEE's self-sampling (Li et al. 2021) with exits drawn *on-line*: each step draws a few
    settings of the policy and gives one to every sentence; the loss of a layer is taken on the
    words that still arrive there, whose neighbours may be copied states. Some sentences run to
    full depth and some at the loosest setting (a "sandwich"). The paper's released code draws
    exits once from a frozen earlier model, and trains every head on halted words as well.

    Args:
        policy: Whose threshold is drawn.
        strict: Strictest setting drawn; the policy's own strict end when None.
        loose: Loosest setting drawn; the policy's own loose end when None.
        draws: Settings a step, the loosest one included.
        full: Share of sentences that run to full depth, 0 to 1.
        warmup: Share of the training before anybody halts.
        weights: ``depth``, ``top``, ``uniform`` or the top's share over exits.

    Raises:
        UserError: The policy has no threshold, or a setting is out of range.
    """

    policy: PolicyLike = "window"
    strict: float | None = None
    loose: float | None = None
    draws: int = 3
    full: float = 0.5
    warmup: float = 0.3
    weights: str | float = "top"

    def __post_init__(self) -> None:
        layer_weights(self.weights, (1,))
        object.__setattr__(self, "policy", from_config(self.policy))
        self._range()
        if not (isinstance(self.draws, int) and self.draws >= 1):
            raise UserError(f"halt_and_copy.draws must be 1 or more, not {self.draws!r}.")
        for name in ("full", "warmup"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(
                    f"halt_and_copy.{name} must be from 0 to 1, not {getattr(self, name)!r}."
                )

    def _range(self) -> tuple[Policy, ThresholdSpec, float, float]:
        assert isinstance(self.policy, Policy)
        spec = self.policy.threshold_spec()
        if spec is None:
            raise UserError(
                f"halt_and_copy draws a policy's threshold, and {self.policy!r} has none."
            )
        strict = spec.strict if self.strict is None else self.strict
        loose = spec.loose if self.loose is None else self.loose
        for value in (strict, loose):
            self.policy.with_threshold(value)  # refuses what is out of range
        if (loose - strict) * (spec.loose - spec.strict) < 0:
            raise UserError(
                f"halt_and_copy.strict={strict:g} is looser than halt_and_copy.loose={loose:g}; "
                "swap them."
            )
        if spec.log and min(strict, loose) <= 0:
            raise UserError(
                "halt_and_copy draws this policy's settings on a logarithmic scale, so strict "
                f"and loose must be above 0, not {strict:g} and {loose:g}."
            )
        return self.policy, spec, strict, loose

    def start(self, info: BatchInfo) -> BatchLoss:
        """Draw settings for the step and hand them to the sentences."""
        policy, spec, strict, loose = self._range()
        points = draw(info, self.draws).tolist()[1:]
        if spec.log:
            between = [exp(log(strict) + p * (log(loose) - log(strict))) for p in points]
        else:
            between = [strict + p * (loose - strict) for p in points]
        values = [loose, *between]
        # Which sentence gets which setting: -1 for full depth.
        lot = draw(info, int(info.sentence.max()) + 1, salt=1)[info.sentence]
        choice = ((lot - self.full) / max(1 - self.full, 1e-9) * self.draws).floor().long()
        choice = choice.clamp_max(self.draws - 1)
        choice = choice.masked_fill(lot < self.full, -1)
        if info.progress < self.warmup:
            choice.fill_(-1)
        return _HaltingLoss(
            [policy.with_threshold(value) for value in values],
            send([choice], info.device)[0],
            layer_weights(self.weights, info.exit_layers),
            info.num_words,
        )


class _HaltingLoss(BatchLoss):
    def __init__(
        self, policies: list[Policy], choice: Tensor, weights: dict[int, float], num_words: int
    ) -> None:
        super().__init__()
        self._policies, self._choice, self._weights = policies, choice, weights
        self.deciding = policies[0]  # they differ by their settings alone
        self._states: list[State] = [p.init(num_words, choice.device) for p in policies]

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        self.cross_entropy(signals, self._weights[signals.layer])
        if signals.layer == signals.num_layers:
            return None
        choice = self._choice[signals.sequence]
        halt = signals.none()
        with torch.no_grad():
            for number, policy in enumerate(self._policies):
                sure, self._states[number] = policy.step(signals, self._states[number])
                halt |= sure & (choice == number)
        return halt

    def leave(self, halted: Tensor, staying: Tensor) -> None:
        self._states = [index_state(state, staying) for state in self._states]
