"""Selectors learn with the network what of its layers a text needs, within a budget (EBERT)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tokenexit.objectives.base import OBJECTIVES, BatchInfo, BatchLoss, draw
from tokenexit.objectives.beside_top import BesideTop
from tokenexit.objectives.joint import JointLoss
from tokenexit.objectives.settings import choice, exit_weights, number
from tokenexit.objectives.sub_network import SubNetwork
from tokenexit.selectors import Asked, kept
from tokenexit.selectors.stack import PARTS
from tokenexit.signals import Signals

_SALT = 6000
_STRIDE = 2_654_435_761  # so that no draw of another step is met again

MODES = ("sampled", "straight")


@OBJECTIVES.register("selected")
@dataclass(frozen=True)
class Selected(BesideTop):
    """EBERT (Liu et al. 2021): cross-entropy, and how far the batch is from its budget.

    ``price ((s - s*)^2 + parts/L sum_l (p_l - s*)^2 + parts/L sum_l (q_l - s*)^2)``, with ``s`` the
    share of the layers' multiply-accumulates that the batch saves, ``p_l`` and ``q_l`` the shares
    of heads and of blocks of neurons that its texts leave out at layer ``l``, and
    ``s* = 1 - keep``. What is left out is multiplied with 0, and gradients pass by the sigmoid.

    Args:
        keep: Share of the multiply-accumulates that is aimed at, above 0 and at most 1.
        price: Of all of it, 0 or more.
        parts: Of the layers' shares, against that of the whole batch, 0 or more.
        mode: ``sampled`` adds logistic noise to the odds, as published; ``straight`` decides as
            inference does.
        tau: Temperature of the gradient, above 0.
        threshold: From which probability something is computed, under ``straight``.
        weights: Of the exits, as ``joint`` has it; the top alone when None.

    Raises:
        UserError: A setting is unknown or out of range.
    """

    keep: float = number(0.5, above=0, high=1)
    price: float = number(4.0, low=0)
    parts: float = number(5.0, low=0)
    mode: str = choice("sampled", MODES)
    tau: float = number(1.0, above=0)
    threshold: float = 0.5
    weights: str | float | None = exit_weights(None)
    selects = True

    def start(self, info: BatchInfo) -> BatchLoss:
        """The network, each text with what is chosen for it."""
        return _Selected(self, info, self.of_exits(info))


class Chosen:
    """Chooses, and notes what that leaves out.

    Args:
        settings: How.
        info: The step.
    """

    def __init__(self, settings: Selected, info: BatchInfo) -> None:
        self._settings, self._info = settings, info
        self._saved: list[Tensor] = []
        self._whole: list[Tensor] = []
        self._left_out: dict[str, list[Tensor]] = {part: [] for part in PARTS}

    def __call__(self, asked: Asked) -> Tensor:
        """See ``Choose``."""
        odds, settings = asked.odds, self._settings
        if settings.mode == "sampled":  # a logistic draw is the difference of two of Gumbel
            odds = odds + self._drawn(asked).to(odds).logit(eps=1e-6)
        soft = (odds / settings.tau).sigmoid()
        line = settings.threshold if settings.mode == "straight" else 0.5
        chosen = kept(odds, line).to(soft) + (soft - soft.detach())
        left = 1 - chosen.mean(dim=-1)
        self._left_out[asked.part].append(left.mean())
        self._saved.append((left * asked.macs).sum())
        self._whole.append(asked.macs.sum())
        return chosen

    def penalty(self) -> Tensor:
        """How far the batch is from the budget."""
        aim, settings = 1 - self._settings.keep, self._settings
        saved = torch.stack(self._saved).sum() / torch.stack(self._whole).sum()
        found = (saved - aim).square()
        for left in self._left_out.values():
            found = found + settings.parts * (torch.stack(left) - aim).square().mean()
        return settings.price * found

    def _drawn(self, asked: Asked) -> Tensor:
        """Uniform numbers, ``[S, K]``, that depend on seed, step and text alone."""
        places = self._info.sentence[torch.from_numpy(asked.text)].tolist()
        turn = 2 * asked.layer + PARTS.index(asked.part)
        count = asked.odds.shape[-1]
        salts = [_SALT + _STRIDE * (place * 1024 + turn) for place in places]
        return torch.stack([draw(self._info, count, salt) for salt in salts])


class _Selected(JointLoss):
    def __init__(self, settings: Selected, info: BatchInfo, weights: dict[int, float]) -> None:
        super().__init__(weights)
        self._chosen = Chosen(settings, info)
        self.part = SubNetwork(info.reducer, choose=self._chosen)

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        super().arrive(signals, words)
        if signals.layer == signals.num_layers:
            self.add(self._chosen.penalty() * len(signals.known))
        return None
