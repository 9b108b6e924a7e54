"""Policies of rows that learn from what they cost and spare (TR-BERT)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.errors import UserError, unknown_name
from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective
from tokenexit.objectives.row_draws import row_draws
from tokenexit.objectives.sampled_rows import SampledRows
from tokenexit.objectives.sub_network import SubNetwork
from tokenexit.policies.value import check_number
from tokenexit.reducers import FATES
from tokenexit.reducers.base import Fate
from tokenexit.signals import Signals

_SALT = 3000


@OBJECTIVES.register("reinforce")
@dataclass(frozen=True)
class Reinforce(Objective):
    """Scorers learn to take rows out, by REINFORCE (TR-BERT, Ye et al. 2021).

    Each step goes ``copies`` times over its texts, and takes out rows by chance, as the scorers'
    sigmoids have it. A copy of a text is rewarded by minus its cross-entropy at the top minus
    ``alpha`` times the mean share of its rows that are left; what is more than the mean over
    copies makes its actions likelier. In the first steps one copy keeps the most salient rows
    instead, as many as the scores lead to expect: column ``saliency``, of the preparation of that
    name. That is for a network that is frozen; afterwards both learn together, with ``distil``,
    and each copy is taught by the teacher's probabilities as well.

    Args:
        alpha: Price of the share of rows that are left, 0 or more.
        copies: How often a step goes over its texts, 2 or more.
        guide_rate: Share of the training in which one copy is guided.
        fate: What becomes of rows taken out.
        distil: Whether the network learns, too, from the logits of ``train.teacher``.

    Raises:
        UserError: A setting is unknown or out of range.
    """

    alpha: float = 0.5
    copies: int = 8
    guide_rate: float = 0.5
    fate: Fate = "restore"
    distil: bool = False
    reduces = True
    scores = True

    def __post_init__(self) -> None:
        check_number(self, "alpha", 0.0, 1e6)
        check_number(self, "copies", 2, 64, integer=True)
        check_number(self, "guide_rate", 0.0, 1.0)
        if self.fate not in FATES:
            raise unknown_name("reinforce.fate", self.fate, FATES)
        if type(self.distil) is not bool:
            raise UserError(f"reinforce.distil must be true or false, not {self.distil!r}.")

    @property
    def reads_teacher(self) -> bool:  # type: ignore[override]
        """Whether it distils."""
        return self.distil

    @property
    def reads_columns(self) -> Mapping[str, str]:  # type: ignore[override]
        """The saliency, if a copy is guided."""
        return {"saliency": "row"} if self.guide_rate else {}

    def start(self, info: BatchInfo) -> BatchLoss:
        """The first copy, which asks for the others."""
        return _Copy(self, info, _Tried(self.copies))


@dataclass
class _Tried:
    """What the copies of a step did and got: of each a number for every text, ``[S]``."""

    copies: int
    rewards: list[Tensor] = field(default_factory=list)
    likely: list[Tensor] = field(default_factory=list)


class _Copy(BatchLoss):
    """One pass over the texts."""

    def __init__(self, settings: Reinforce, info: BatchInfo, tried: _Tried) -> None:
        super().__init__()
        self._settings, self._info, self._tried = settings, info, tried
        self._number = len(tried.rewards)
        guided = self._number == 0 and info.progress < settings.guide_rate
        guide = info.columns["saliency"] if guided else None
        draws = partial(row_draws, info, salt=_SALT + self._number)
        self._rows = SampledRows(settings.fate, draws, guide)
        self.part = SubNetwork(self._rows)

    def passes(self) -> Iterator[BatchLoss]:
        for _ in range(1, self._settings.copies):
            yield _Copy(self._settings, self._info, self._tried)

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        if signals.layer < signals.num_layers:
            return None
        assert signals.target is not None
        self.note(signals)
        logits, known = signals.logits.float(), signals.known
        if self._settings.distil:
            assert self._info.teacher is not None
            wanted = self._info.teacher.logits[words].float().softmax(dim=-1)
            taught = -(wanted * logits.log_softmax(dim=-1)).sum(dim=-1)
            self.add(taught[known].sum() / self._settings.copies)
        else:
            self.add(logits.new_zeros(()))
        costs = F.cross_entropy(logits, signals.target, ignore_index=-100, reduction="none")
        text = signals.sequence[known]
        many = costs.new_zeros(signals.num_sequences).index_add(
            0, text, torch.ones_like(costs[known])
        )
        cost = torch.zeros_like(many).index_add(0, text, costs[known].detach()) / many.clamp_min(1)
        tried, length = self._tried, torch.stack(self._rows.kept).mean(dim=0)
        tried.rewards.append(-cost - self._settings.alpha * length.to(cost))
        tried.likely.append(torch.stack(self._rows.likely).sum(dim=0).to(cost))
        if len(tried.rewards) == tried.copies:
            self.add(reinforced(torch.stack(tried.rewards), torch.stack(tried.likely), many))
        return None


def reinforced(rewards: Tensor, likely: Tensor, weights: Tensor) -> Tensor:
    """Loss whose gradient makes actions likelier that got more than the mean over copies.

    Args:
        rewards: Of each copy of each text, ``[K, S]``.
        likely: Log-probability of its actions, ``[K, S]``.
        weights: Of texts, ``[S]``.
    """
    gain = rewards - rewards.mean(dim=0)
    return -(weights * (gain * likely).mean(dim=0)).sum()
