"""All exits at once, weighted."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from torch import Tensor

from tokenexit.errors import UserError
from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective, draw
from tokenexit.objectives.weights import layer_weights
from tokenexit.renamed import renamed
from tokenexit.signals import Signals


@OBJECTIVES.register("joint")
@dataclass(frozen=True)
class Joint(Objective):
    """Weighted sum of every exit's cross-entropy (PABEE, Zhou et al. 2020; CALM, Schuster 2022).

    Args:
        weights: ``depth``, ``top``, ``uniform`` or the top's share. ``uniform`` is the aligned
            training of the Depth-Adaptive Transformer.
        sampled: Score the top and at most so many lower exits a step, drawn so that the
            expected loss is that of all; every exit when None. With a large vocabulary
            scoring costs more than the layers do.

    Raises:
        UserError: A setting is out of range.
    """

    weights: str | float = "depth"
    sampled: int | None = None
    regression = True

    def __post_init__(self) -> None:
        layer_weights(self.weights, (1,))
        check_count("joint.sampled", self.sampled)

    def start(self, info: BatchInfo) -> BatchLoss:
        """Nobody halts; every exit of the step sees every word."""
        weights = layer_weights(self.weights, info.exit_layers)
        loss = JointLoss(sample_exits(weights, info, self.sampled))
        if self.sampled is not None:
            loss.score_few()
        return loss


class JointLoss(BatchLoss):
    """Cross-entropy at every exit.

    Args:
        weights: Weight of each exit layer's loss; layers not named have none.
    """

    def __init__(self, weights: dict[int, float]) -> None:
        super().__init__()
        self._weights = weights

    def score_few(self) -> None:
        """Ask others that teach beside this loss not to score exits without a weight."""
        self.scored = frozenset(self._weights)

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        """Add this exit's loss."""
        if signals.layer in self._weights:
            self.cross_entropy(signals, self._weights[signals.layer])
        return None


def sample_exits(weights: dict[int, float], info: BatchInfo, count: int | None) -> dict[int, float]:
    """Fewer exits of the same expected weights: the top, and lower ones drawn in proportion.

    Systematic sampling: ``count`` points at even distances along the lower exits' weights laid
    end to end. An exit that is hit ``m`` times gets ``m / count`` of what they weigh together,
    so the lower exits always weigh the same together, and each its own weight on average.

    Args:
        weights: Weight of each exit.
        info: The step, on which alone the draw depends.
        count: Points; None for all exits, as they are.
    """
    *lower, top = sorted(weights)
    if count is None or count >= len(lower):
        return weights
    ends = list(accumulate(weights[layer] for layer in lower))
    start = float(draw(info, 1, salt=_SALT)[0])
    drawn: dict[int, float] = {}
    for number in range(count):
        place = bisect_right(ends, (number + start) / count * ends[-1])
        layer = lower[min(place, len(lower) - 1)]
        drawn[layer] = drawn.get(layer, 0.0) + ends[-1] / count
    return {**drawn, top: weights[top]}


_SALT = 7  # draws of one objective differ by salt; layer dropout has those from 1000


def check_count(name: str, value: int | None) -> None:
    """Refuse a number of exits that is none.

    Raises:
        UserError: ``value`` is neither None nor a whole number from 1.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise UserError(f"{name} must be a whole number from 1, or null for all, not {value!r}.")


def __getattr__(name: str) -> Any:
    return renamed(__name__, name, {"JointLesson": JointLoss})
