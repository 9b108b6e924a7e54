"""Halt at once when sure, or when the last exits were steadily of one mind (ELBERT)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from tokenexit import scores
from tokenexit.errors import unknown_name
from tokenexit.policies.base import POLICIES, Policy, State, ThresholdSpec
from tokenexit.policies.value import number, whole
from tokenexit.signals import Signals

RULES = ("side", "rising", "steady")


@POLICIES.register("confidence_window")
@dataclass(frozen=True)
class ConfidenceWindow(Policy):
    """Halt when entropy is below ``threshold``, or when the last ``size`` exits bear it out.

    ELBERT (Xie et al. 2021). What a window of exits has to show is one of the three rules of the
    released code, there called ``bias_1`` to ``bias_3``:

    - ``side``: every one of them is surer than ``0.5 + margin`` of the same class;
    - ``rising``: the same, and none is less sure than the one before;
    - ``steady``: the same, and their probabilities lie within ``bias`` of each other.

    The code looks at one probability of two classes, on either side of one half; for two classes
    this is the same, and for more a class has to beat all others together. Its defaults are kept,
    but for ``bias``, which it does not give. The window is over exits, not over words as in
    ``Window``. The threshold is ``threshold``: what the window lets out leaves at any setting,
    later with a larger ``size``.

    Args:
        threshold: Of normalised entropy; 0 leaves everything to the window.
        size: Exits in the window.
        rule: ``side``, ``rising`` or ``steady``.
        margin: By how much a probability has to exceed one half.
        bias: Largest minus smallest probability allowed by ``steady``.

    Raises:
        UserError: A number is out of range, or ``rule`` is none of the three.
    """

    in_words = "entropy below {threshold}, or {size:exit} in a row that agree"

    threshold: float = number(0.1, 0.0, 1.0)
    size: int = whole(8, 1, 1000)
    rule: str = "side"
    margin: float = number(0.0, 0.0, 0.5)
    bias: float = number(0.1, 0.0, 1.0)
    own_threshold = ThresholdSpec("threshold", strict=1e-4, loose=0.9, log=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rule not in RULES:
            raise unknown_name("rule of ConfidenceWindow", self.rule, RULES)

    def init(self, num_rows: int, device: torch.device | str = "cpu") -> State:
        """An empty window: classes and their probabilities, both ``[N, 0]``."""
        classes = torch.zeros(num_rows, 0, dtype=torch.long, device=device)
        return classes, torch.zeros(num_rows, 0, device=device)

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Look at this exit, then at the window that ends with it."""
        now = scores.predicted(signals.logits), scores.max_prob(signals.logits)
        classes, chances = (
            torch.cat([before, new[:, None]], dim=-1)[:, -int(self.size) :]
            for before, new in zip(state, now, strict=True)
        )
        halt = scores.entropy(signals.logits) < self.threshold
        if chances.shape[1] == self.size:
            halt = halt | self._borne_out(classes, chances)
        return halt, (classes, chances)

    def _borne_out(self, classes: Tensor, chances: Tensor) -> Tensor:
        """What the rule says of full windows, two ``[N, W] -> [N]``; a NaN fails every rule."""
        held = (classes == classes[:, -1:]) & (chances > 0.5 + self.margin)
        found = held.all(dim=-1)
        if self.rule == "rising":
            return found & (chances[:, 1:] >= chances[:, :-1]).all(dim=-1)
        if self.rule == "steady":
            return found & (chances.amax(dim=-1) - chances.amin(dim=-1) <= self.bias)
        return found

    @classmethod
    def examples(cls) -> list[Self]:
        """Each of the rules, with windows that fit a shallow network."""
        return [
            cls(0.1, size=3),
            cls(0.2, size=2, rule="rising", margin=0.1),
            cls(0.2, size=3, rule="steady", bias=0.2),
        ]
