"""Routers at exits learn with the network which texts go on, and that not all do (after BE3R)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.errors import UserError
from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective
from tokenexit.signals import Signals


@OBJECTIVES.register("routed")
@dataclass(frozen=True)
class Routed(Objective):
    """Exits are experts, to which routers send rows (after BE3R, Mangrulkar et al. 2022).

    The router of exit ``i`` says from the state alone which share ``g_i`` of a row goes on, so that
    ``p_i = (1 - g_i) g_1 ... g_(i-1)`` of it leaves there and the rest at the top. The loss is
    ``sum_i p_i CE_i``, plus ``price`` times the mean depth as a share of the network, plus
    ``balance`` times ``E sum_i f_i m_i``, as switch transformers balance ``E`` experts: ``f_i`` is
    the share of rows that leave at exit ``i`` if each router sends on where it says more than a
    half, ``m_i`` the mean of ``p_i``, both of a micro-batch. Only an abstract of the paper could be
    read; the formulas are ours.

    Args:
        price: Of depth, 0 or more.
        balance: Of the even use of exits, 0 or more.

    Raises:
        UserError: A setting is out of range.
    """

    price: float = 0.3
    balance: float = 0.1

    asks: ClassVar[Mapping[str, str]] = {"gate": "router"}

    def __post_init__(self) -> None:
        for name in ("price", "balance"):
            value = getattr(self, name)
            if not value >= 0:
                raise UserError(f"routed.{name} must be 0 or more, not {value!r}.")

    def start(self, info: BatchInfo) -> BatchLoss:
        """Follow what is left of every row."""
        return _Routing(self)


class _Routing(BatchLoss):
    def __init__(self, settings: Routed) -> None:
        super().__init__()
        self._settings = settings
        self._left: Tensor | None = None
        self._sent: Tensor | None = None
        self._uses: list[Tensor] = []

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        assert signals.target is not None
        self.note(signals)
        known = signals.known
        logits, target = signals.logits[known].float(), signals.target[known]
        entropy = F.cross_entropy(
            logits, target, reduction="none", label_smoothing=self.label_smoothing
        )
        left = torch.ones_like(entropy) if self._left is None else self._left
        here = torch.ones_like(left, dtype=torch.bool) if self._sent is None else self._sent
        top = signals.layer == signals.num_layers
        on = torch.zeros_like(left) if top else signals.gate[known]
        share, stays = left * (1 - on), on <= 0.5
        depth = signals.layer / signals.num_layers
        self.add((share * (entropy + self._settings.price * depth)).sum())
        self._uses.append((here & stays).float().mean().detach() * share.sum())
        self._left, self._sent = left * on, here & ~stays
        if top and self._settings.balance and len(known):
            used = torch.stack(self._uses).sum() * len(self._uses)
            self.add(self._settings.balance * used)
        return None
