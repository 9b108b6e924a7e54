"""All exits at once, weighted."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tokenexit.objectives.base import OBJECTIVES, Lesson, Objective, Occasion, layer_weights
from tokenexit.signals import Signals


@OBJECTIVES.register("joint")
@dataclass(frozen=True)
class Joint(Objective):
    """Weighted sum of every exit's cross-entropy (PABEE, Zhou et al. 2020).

    Args:
        weights: ``depth``, ``top``, ``uniform`` or the top's share.
    """

    weights: str | float = "depth"

    def __post_init__(self) -> None:
        layer_weights(self.weights, (1,))

    def start(self, occasion: Occasion) -> Lesson:
        """Nobody halts; every exit sees every word."""
        return JointLesson(layer_weights(self.weights, occasion.exit_layers))


class JointLesson(Lesson):
    """Cross-entropy at every exit.

    Args:
        weights: Weight of each exit layer's loss; layers not named have none.
    """

    def __init__(self, weights: dict[int, float]) -> None:
        super().__init__()
        self._weights = weights

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        """Add this exit's loss."""
        if signals.layer in self._weights:
            self.cross_entropy(signals, self._weights[signals.layer])
        return None
