"""How a step goes: who is asked where, and what a capture depends on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from tokenexit.policies.rule import OF_LOGITS, Rule
from tokenexit.static.segment import Segment, segments


@dataclass(frozen=True)
class Form:
    """A rule without the numbers that are in memory.

    Attributes:
        rule: Who leaves.
        top: Layer at which everybody leaves: the network's last, or an earlier one for drafts.
        window: Whether tokens that left go through the layers they skipped, together with later
            ones (``pending="parallel"``).
    """

    rule: Rule
    top: int
    window: bool

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """Layers between two decisions."""
        return tuple(segments(self.rule.asked[: self.top]))

    @cached_property
    def asked_before(self) -> tuple[int, ...]:
        """Layers at which the rule is asked, from 1."""
        return tuple(n for n, asked in enumerate(self.rule.asked, 1) if asked and n < self.top)

    @cached_property
    def first_asked(self) -> int:
        """The first layer at which the rule is asked, even if all leave there; 0 if at none."""
        return next((n for n, asked in enumerate(self.rule.asked, 1) if asked and n <= self.top), 0)

    @property
    def scores_all(self) -> bool:
        """Whether every question has the logits of all words, so that who leaves takes them."""
        return self.rule.score in OF_LOGITS and not self.rule.shortlist

    def listed(self, layer: int) -> bool:
        """Whether only the words of a shortlist are scored at an exit."""
        return bool(self.rule.shortlist) and layer != self.first_asked


class Asked:
    """A rule as one generation asks it.

    Args:
        rule: Who leaves.
        top: See ``Form``.
        window: See ``Form``.
        num_steps: Largest number of steps, for thresholds that change with them.
        device: Where it is asked.
    """

    def __init__(
        self, rule: Rule, top: int, window: bool, num_steps: int | None, device: torch.device
    ) -> None:
        self.rule, self._num_steps, self._device = rule, num_steps, device
        none = ((0.0,) * len(rule.thresholds[0]),) * len(rule.asked)
        self.form = Form(replace(rule, thresholds=none, depths=None, schedule=None), top, window)
        self._host = torch.from_numpy(rule.lines())
        self._lines = self._host.to(device)
        self._table = self._lines.unsqueeze(0)[:0]

    def lines(self, step: int, steps: Tensor) -> Tensor:
        """Thresholds, ``[L, 1]`` for all sequences or ``[L, R]``, on the device.

        Args:
            step: The last step of any sequence.
            steps: That of each, ``[R]``.
        """
        if self.rule.schedule is None:
            return self._lines
        if step >= len(self._table):
            self._table = self._scheduled(2 * step + 32)
        if not self.form.window:
            return self._table[step]
        return self._table[:, :, 0].index_select(0, steps.clamp_min(0)).t()

    def _scheduled(self, steps: int) -> Tensor:
        """The same of many steps, ``[T, L, 1]``: made on the host and copied at once."""
        schedule = self.rule.schedule
        assert schedule is not None
        now = schedule(torch.arange(steps), self._num_steps).float()
        asked = torch.tensor(self.rule.asked)
        return torch.where(asked[:, None], now[:, None, None], self._host).to(self._device)
