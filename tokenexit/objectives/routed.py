"""Routers at exits learn with the network which texts go on, and that not all do (after BE3R)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, Objective
from tokenexit.objectives.leaving import Leaving
from tokenexit.objectives.settings import number
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

    price: float = number(0.3, low=0)
    balance: float = number(0.1, low=0)

    asks: ClassVar[Mapping[str, str]] = {"gate": "router"}

    def start(self, info: BatchInfo) -> BatchLoss:
        """Follow what is left of every row."""
        return _Routing(self)


class _Routing(Leaving[Routed]):
    def __init__(self, settings: Routed) -> None:
        super().__init__(settings)
        self._sent: Tensor | None = None
        self._uses: list[Tensor] = []

    def spread(self, signals: Signals, entropy: Tensor, left: Tensor) -> Tensor:
        here = torch.ones_like(left, dtype=torch.bool) if self._sent is None else self._sent
        top = signals.layer == signals.num_layers
        on = torch.zeros_like(left) if top else signals.gate[signals.known]
        share, stays = left * (1 - on), on <= 0.5
        depth = signals.layer / signals.num_layers
        self.add((share * (entropy + self._settings.price * depth)).sum())
        self._uses.append((here & stays).float().mean().detach() * share.sum())
        self._sent = here & ~stays
        if top and self._settings.balance and len(left):
            used = torch.stack(self._uses).sum() * len(self._uses)
            self.add(self._settings.balance * used)
        return left * on
