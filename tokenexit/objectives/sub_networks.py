"""Narrower and shallower parts of a network learn in one step (DynaBERT)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import floor
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.errors import UserError
from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective
from tokenexit.objectives.distillation import row_weights
from tokenexit.objectives.sub_network import SubNetwork
from tokenexit.signals import Signals
from tokenexit.widths import Widths


@OBJECTIVES.register("sub_networks")
@dataclass(frozen=True)
class SubNetworks(Objective):
    """DynaBERT (Hou et al. 2020): each step sums the losses of all widths at all depths.

    Of a width ``m`` the first heads and neurons of each layer are computed; put them in the order
    of their importance beforehand, with the preparation ``rewire``. Of a depth ``d`` the layers
    ``floor(i / d)`` from 0 are run. Each sub-network learns from the answers of ``train.teacher``,
    from the labels, and from the teacher's states: the mean squared difference of the states that
    enter each layer it runs, the lowest one apart, and of the top's. Only the top is trained.

    Args:
        widths: Shares of heads and neurons, the widest first.
        depths: Shares of the layers, the deepest first.
        soft: Weight of the teacher's answers; 0 for none.
        hard: Weight of the labels; 0 for none.
        states: Weight of the states, summed over layers; 0 for none.

    Raises:
        UserError: A share or a weight is out of range, or nothing is learned from.
    """

    widths: Sequence[float] = (1.0, 0.75, 0.5, 0.25)
    depths: Sequence[float] = (1.0,)
    soft: float = 1.0
    hard: float = 0.0
    states: float = 0.1
    regression = True
    reduces = True

    def __post_init__(self) -> None:
        for name in ("widths", "depths"):
            shares: Any = getattr(self, name)
            fine = isinstance(shares, list | tuple) and len(shares) > 0
            if not fine or not all(_is_share(share) for share in shares):
                raise UserError(
                    f"sub_networks.{name} must be a list of shares above 0 and at most 1, not "
                    f"{shares!r}."
                )
            object.__setattr__(self, name, tuple(sorted(map(float, shares), reverse=True)))
        for name in ("soft", "hard", "states"):
            if not getattr(self, name) >= 0:
                raise UserError(f"sub_networks.{name} must be 0 or more.")
        if not self.soft + self.hard:
            raise UserError("sub_networks learns from nothing: set soft or hard above 0.")

    @property
    def reads_teacher(self) -> bool:  # type: ignore[override]
        """Whether anything of it is imitated."""
        return self.soft > 0 or self.states > 0

    @property
    def reads_states(self) -> bool:  # type: ignore[override]
        """Whether states are compared."""
        return self.states > 0

    def start(self, info: BatchInfo) -> BatchLoss:
        """The widest and deepest; the others follow."""
        first, *others = self.parts(info.exit_layers[-1])
        return _Pass(self, info, first, others)

    def parts(self, depth: int) -> Iterator[SubNetwork]:
        """All sub-networks of a network, the deepest and widest first."""
        for share in self.depths:
            without = frozenset(range(1, depth + 1)) - {n + 1 for n in layers_of(depth, share)}
            for width in self.widths:
                yield SubNetwork(widths=Widths(width, width), without=without)


def layers_of(depth: int, share: float) -> list[int]:
    """Layers that a share of the depth runs, from 0; at least one."""
    return [floor(i / share) for i in range(max(round(share * depth), 1))]


def _is_share(given: Any) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and 0 < given <= 1


class _Pass(BatchLoss):
    def __init__(
        self,
        settings: SubNetworks,
        info: BatchInfo,
        part: SubNetwork,
        others: Sequence[SubNetwork] = (),
    ) -> None:
        super().__init__()
        self.part = part
        self._settings, self._info, self._others = settings, info, others
        self._left_out = part.without
        self._labelled: Tensor | None = None

    def passes(self) -> Iterator[BatchLoss]:
        """The other sub-networks."""
        return (_Pass(self._settings, self._info, part) for part in self._others)

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        """Learn at the top, of words with a gold class."""
        if signals.layer < signals.num_layers:
            return None
        known, settings = signals.known, self._settings
        self._labelled = words[known]
        if settings.hard:
            self.cross_entropy(signals, settings.hard)
        else:
            self.note(signals)
        if settings.soft:
            assert self._info.teacher is not None, "set train.teacher"
            wanted = self._info.teacher.logits[words[known]].float()
            told = signals.logits[known].float()
            self.add(settings.soft * _gap(told, wanted, signals))
        return None

    def watch(self, states: Sequence[Tensor]) -> None:
        """Compare states: means over width and a text's rows, for each labelled word."""
        assert self._info.teacher is not None, "set train.teacher"
        wanted, depth = self._info.teacher.states, len(states)
        run = [n for n in range(1, depth + 1) if n not in self._left_out]
        places = [*(n - 2 for n in run[1:]), depth - 1]  # what enters a layer left the one before
        gaps = [(states[n].float() - wanted[n].float()).square().mean(dim=-1) for n in places]
        each = torch.stack(gaps).sum(dim=0)
        assert self._labelled is not None
        weights = row_weights(self._info, self._labelled).to(each)
        self.add(self._settings.states * (each * weights).sum())


def _gap(told: Tensor, wanted: Tensor, signals: Signals) -> Tensor:
    """Divergence from the teacher's answers, summed over words; of numbers the squared error."""
    assert signals.target is not None
    if signals.target.is_floating_point():
        return F.mse_loss(told, wanted, reduction="sum")
    pair = told.log_softmax(dim=-1), wanted.log_softmax(dim=-1)
    return F.kl_div(*pair, log_target=True, reduction="sum")
