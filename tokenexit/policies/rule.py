"""A policy as a rule: what a kernel needs to carry a decision out without asking Python.

``policy.as_rule(num_layers, num_classes)`` gives it, or None. At a layer where it is asked a rule
gives every row one *number*; the row is *sure* when that is strictly on the sure side of the
layer's threshold. It *halts* when it has been sure ``patience`` times in a row and so have its
neighbours in the window, or all of its sentence. ``rule_decide`` is that in plain torch, and
equals ``Policy.step`` to the last bit. Exact arithmetic of the numbers, always in float32,
whatever type the logits have:

- ``entropy``: normalised by ``log C``; ``max_prob``: ``1 / sum exp(x - max)``; ``margin``: the
  best two softmax values, subtracted; ``energy``: ``-logsumexp``. Those of ``scores``. A NaN
  stays one, and a NaN is never sure.
- ``patience``: 0 where the predicted class is that of the exit asked before, else 1. The first of
  equal classes counts; a row with a NaN predicts nothing (-1) and agrees with nobody.
- ``change``: how far the one number that an exit tells has moved since the exit asked before.
- ``saturation``: cosine with the state at the exit before, asked or not; -1 at the first exit.
- ``gate``: the learned gate. ``depth``: the layer that ``depths`` has assigned to the row.
- ``context``: the context gate of the network's heads, asked about all words at once. Kernels add
  up its sums in another order: a number within rounding of the threshold may fall beyond it.

torch rounds a Python number to float32 before it compares, so thresholds are float32 numbers.

Without a rule, because no kernel would be worth it: what compares whole distributions with those
of exits before (``divergence``, ``evidence``, ``dact``: a state of ``[N, C]``) or keeps a history
(``vote``, ``confidence_window``); ``q_exit`` and ``predicted_depth`` (trained heads of their own);
``asymmetric`` (its two probabilities are no score of the others); ``oracle`` (gold labels);
``all_of``, ``any_of`` and ``two_stage`` (several judges). Combinators have one as long as what is
inside has, and neither counts nor pools at another place than a rule does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from torch import Tensor

Score = Literal[
    "never", "entropy", "max_prob", "margin", "energy",
    "patience", "depth", "gate", "saturation", "change", "context",
]  # fmt: skip
SCORES: tuple[Score, ...] = (
    "never", "entropy", "max_prob", "margin", "energy",
    "patience", "depth", "gate", "saturation", "change", "context",
)  # fmt: skip
OF_LOGITS = frozenset({"entropy", "max_prob", "margin", "energy", "patience", "change"})
"""Numbers for which an exit's head has to be computed for all rows that arrive."""

Pool = Literal["none", "sentence", "sentence_mean"]
POOLS: tuple[Pool, ...] = ("none", "sentence", "sentence_mean")

Depths = Callable[[Tensor, Tensor], Tensor]
"""Layers assigned to rows ``[N]``, from their token and from their place (or decoding step)."""

Schedule = Callable[[Tensor, int | None], Tensor]
"""Thresholds of decoding steps ``[T] -> [T]``, float32, given the largest number of steps."""


@dataclass(frozen=True)
class Network:
    """Where a rule will be asked.

    Attributes:
        num_classes: Of the exits, or words of the vocabulary.
        classes: Their names, where they have names.
        asked: Layers at which the policy is asked, ``[L]``.
    """

    num_classes: int
    classes: tuple[str, ...]
    asked: tuple[bool, ...]

    def only(self, wanted: Callable[[int], bool]) -> Network:
        """The same where only some layers, counted from 1, are asked."""
        asked = (old and wanted(layer) for layer, old in enumerate(self.asked, 1))
        return replace(self, asked=tuple(asked))


@dataclass(frozen=True)
class Rule:
    """Who halts, as plain data.

    Attributes:
        score: Which number of a row is compared; one of ``SCORES``.
        asked: Layers at which the rule is asked, ``[L]``. At others nobody halts, nothing is
            remembered and no head need be computed.
        thresholds: ``[L][1]``, or ``[L][C]`` where the predicted class chooses; exact in float32.
            A layer or class that lets nobody out has minus infinity, or infinity if ``low`` is
            not set.
        low: Whether a row is sure *below* the threshold, strictly; else it is above.
        patience: At how many asked exits in a row a row has to be sure.
        window: Words in the window around a row that have to be sure with it, an odd number.
            Rows that have left, and places outside the sentence, count as sure.
        pool: ``sentence``: all rows of a sentence still there halt together or not at all;
            ``sentence_mean``: the mean of their numbers is compared.
        depths: For the score ``depth``.
        schedule: Thresholds that change with the steps of decoding; see ``at_step``.
        shortlist: Keep so many best words of each row at the first exit asked, and score those
            alone, there and later; 0 scores all. Without meaning where a few classes cannot be
            scored alone.
    """

    score: Score
    asked: tuple[bool, ...]
    thresholds: tuple[tuple[float, ...], ...]
    low: bool = True
    patience: int = 1
    window: int = 1
    pool: Pool = "none"
    depths: Depths | None = None
    schedule: Schedule | None = None
    shortlist: int = 0

    @property
    def counts(self) -> bool:
        """Whether something of a row is remembered from one exit to the next."""
        return self.patience > 1 or self.score in ("patience", "change", "context")

    @property
    def pools(self) -> bool:
        """Whether a row's neighbours have a say."""
        return self.window > 1 or self.pool != "none"

    def lines(self) -> np.ndarray:
        """The thresholds as one array, ``[L, 1]`` or ``[L, C]`` float32."""
        return np.array(self.thresholds, dtype=np.float32)

    def at_step(self, step: int, num_steps: int | None = None) -> Rule:
        """The rule of one decoding step; itself unless thresholds change with the steps.

        Args:
            step: From 0.
            num_steps: Largest number of steps of this generation.

        Raises:
            UserError: Thresholds change and ``num_steps`` is unknown.
        """
        if self.schedule is None:
            return self
        from torch import tensor

        now = float(self.schedule(tensor([step]), num_steps)[0])
        return replace(self, thresholds=limits(self.asked, now, self.low), schedule=None)


def nobody(asked: Sequence[bool]) -> Rule:
    """The rule that lets nobody out of a network of so many layers."""
    never = tuple(False for _ in asked)
    return Rule("never", never, limits(never, 0.0, True))


def one_score(
    network: Network, score: Score, threshold: float, low: bool, patience: int = 1
) -> Rule:
    """A number and the same threshold at every layer that is asked."""
    return Rule(score, network.asked, limits(network.asked, threshold, low), low, patience)


def limits(asked: Sequence[bool], threshold: float, low: bool) -> tuple[tuple[float, ...], ...]:
    """Thresholds ``[L][1]``: one where the rule is asked, elsewhere one that nobody passes."""
    here = float(np.float32(threshold))
    return tuple((here if ask else closed(low),) for ask in asked)


def closed(low: bool) -> float:
    """The threshold that lets nobody out."""
    return float("-inf") if low else float("inf")
