"""Groups of exits by turns, each with balanced gradients: how ElasticBERT is pre-trained."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tokenexit.objectives.base import OBJECTIVES, BatchInfo, Objective
from tokenexit.objectives.equilibrium import balanced
from tokenexit.objectives.joint import JointLoss, check_count


@OBJECTIVES.register("grouped")
@dataclass(frozen=True)
class Grouped(Objective):
    """A step trains every so many-th exit and the top, the next step the next ones (Liu 2022).

    ElasticBERT's grouped training: losses of a group are summed, and groups take turns from batch
    to batch, so that a step scores and remembers fewer exits. Of 12 exits in two groups these are
    1, 3, ... 11 and 12, and 2, 4, ... 12. Inside a group gradients are in equilibrium: a layer
    with an exit passes ``1/r`` to its head, with ``r`` exits of the group left.

    Args:
        groups: How many; each then trains its exits once in so many steps, and the top always.
        balance: Whether gradients are balanced inside a group; ``train.gradient_equilibrium``,
            which knows no groups, is then to be left out.

    Raises:
        UserError: ``groups`` is no whole number from 1.
    """

    groups: int = 2
    balance: bool = True
    regression = True

    def __post_init__(self) -> None:
        check_count("grouped.groups", self.groups)

    def start(self, info: BatchInfo) -> GroupedLoss:
        """Nobody halts; the group of the step sees every word."""
        return GroupedLoss(group_of(info.exit_layers, self.groups, info.step), self.balance)


class GroupedLoss(JointLoss):
    """Summed cross-entropy of some exits.

    Args:
        exits: Their layers, the top last.
        balance: Whether their gradients are balanced.
    """

    def __init__(self, exits: tuple[int, ...], balance: bool) -> None:
        super().__init__(dict.fromkeys(exits, 1.0))
        self.score_few()
        self._split = balanced(super().fork, exits) if balance else super().fork

    def fork(self, layer: int, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """A share for the head, the rest for the layers above."""
        return self._split(layer, hidden)


def group_of(exit_layers: tuple[int, ...], groups: int, step: int) -> tuple[int, ...]:
    """Exits whose turn it is, the top included.

    Args:
        exit_layers: Depths with a head, the top included.
        groups: How many groups; no more than there are exits.
        step: From 0.
    """
    groups = min(groups, len(exit_layers))
    return tuple(sorted({*exit_layers[step % groups :: groups], exit_layers[-1]}))
