"""Shares of the saliency, and bars below which rows go, learned together (AdapLeR)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from tokenexit.errors import unknown_name
from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective
from tokenexit.objectives.soft_shares import SoftShares
from tokenexit.objectives.sub_network import SubNetwork
from tokenexit.policies.value import check_number
from tokenexit.reducers import FATES
from tokenexit.reducers.base import Fate
from tokenexit.signals import Signals


@OBJECTIVES.register("adapler")
@dataclass(frozen=True)
class AdapLeR(Objective):
    """Adaptive length reduction (Modarressi et al. 2022): scorers before layers, with bars.

    Network and scorers learn from the top's cross-entropy plus ``gamma`` times the divergence of
    the shares that scorers give to rows from those of the saliency, the lower the layer the more:
    the first of 12 weighs 12 times, the last once. The saliency is the column ``gold_saliency``, of
    the preparation of that name, that of first rows times a learned number. This number and the
    bars learn from the cross-entropy plus ``phi`` times the sum of the rows of each layer; they
    see those of the released code, scores of the attention lowered by a slope that gets steeper
    (see ``SoftShares``). Serve with the reducer ``{"name": "scored", "rule": "share"}``.

    Args:
        gamma: Of the divergence, 0 or more.
        phi: Price of a row of a layer, 0 or more.
        steps: How often the slope gets steeper: it is 10 in the first of so many equal parts of the
            training, 100 in the second.
        fate: What will become of rows taken out.

    Raises:
        UserError: A setting is unknown or out of range.
    """

    gamma: float = 5e-3
    phi: float = 5e-4
    steps: int = 5
    fate: Fate = "restore"
    reads_columns: ClassVar[Mapping[str, str]] = {"gold_saliency": "row"}
    reduces = True
    scores = True
    bars = True

    def __post_init__(self) -> None:
        check_number(self, "gamma", 0.0, 1e6)
        check_number(self, "phi", 0.0, 1e6)
        check_number(self, "steps", 1, 6, integer=True)
        if self.fate not in FATES:
            raise unknown_name("adapler.fate", self.fate, FATES)

    def learned(self, exit_layers: tuple[int, ...]) -> nn.Module:
        """A number for each layer, for first rows."""
        return _Firsts(exit_layers[-1])

    def stepped(self, learned: nn.Module | None) -> None:
        """They stay above 0."""
        assert isinstance(learned, _Firsts)
        learned.numbers.data.clamp_min_(0.01)

    def start(self, info: BatchInfo) -> BatchLoss:
        """One pass in which rows weigh by their shares."""
        steepness = 10.0 ** (1 + min(int(info.progress * self.steps), self.steps - 1))
        salient = info.columns["gold_saliency"].float()
        return _Weighed(self, SoftShares(self.fate, steepness, info.learned.numbers, salient))


class _Firsts(nn.Module):
    def __init__(self, num_layers: int) -> None:
        super().__init__()
        self.numbers = nn.Parameter(torch.ones(num_layers))


class _Weighed(BatchLoss):
    def __init__(self, settings: AdapLeR, shares: SoftShares) -> None:
        super().__init__()
        self._settings, self._shares = settings, shares
        self.part = SubNetwork(weights=shares)

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        if signals.layer < signals.num_layers:
            return None
        self.cross_entropy(signals, 1.0)
        text, depth = signals.sequence[signals.known], signals.num_layers
        gaps, lengths = self._shares.gaps, self._shares.lengths
        learned = sum((depth + 1 - layer) * gap for layer, gap in gaps.items())
        beside = self._settings.gamma * learned + self._settings.phi * sum(lengths)
        assert isinstance(beside, Tensor)
        self.add(beside[text].sum())
        return None
