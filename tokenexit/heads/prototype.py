"""Class means instead of a trained classifier (E2CM)."""

from __future__ import annotations

import torch
from torch import Tensor

from tokenexit.heads.base import HEADS, ExitHead
from tokenexit.signals import Signals


@HEADS.register("prototype")
class PrototypeHead(ExitHead):
    """The nearest class mean, with distances scaled to their spread (Görmez et al. 2022).

    Nothing here is trained: after training, the states of the training split are averaged by class
    and the network needs no gradient through its exits. Logits are
    ``-d^2 / (2 s^2)`` with ``s^2`` the mean squared distance of a state to the mean of its class,
    so their softmax is the paper's normalised distance turned into a probability. Before it has
    been fitted, and of classes it has never seen, it knows nothing.

    Args:
        width: Width of the states, ``H``.
        num_classes: ``C``.
    """

    fitted_on = "train"
    means: Tensor
    bias: Tensor

    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__()
        # Distances expanded: the square of the state is the same for all classes and drops out.
        self.register_buffer("means", torch.zeros(num_classes, width))
        self.register_buffer("bias", torch.zeros(num_classes))
        self._seen: list[tuple[Tensor, Tensor, Tensor]] = []  # sums, counts, squares

    def forward(self, hidden: Tensor, past: Tensor | None = None, /) -> Tensor:
        """States ``[N, H]`` to logits ``[N, C]``."""
        return hidden @ self.means.T.to(hidden.dtype) + self.bias.to(hidden.dtype)

    @property
    def macs(self) -> int:
        """Multiply-accumulates per row."""
        return self.means.numel()

    def observe(self, signals: Signals) -> None:
        """Add up the states of labelled rows by class."""
        assert signals.target is not None
        known = signals.target != -100
        states, target = signals.hidden[known].double(), signals.target[known]
        if not self._seen:
            nothing = self.means.new_zeros(self.means.shape, dtype=torch.float64)
            self._seen.append((nothing, nothing[:, 0].clone(), nothing[:, 0].clone()))
        sums, counts, squares = self._seen[0]
        sums.index_add_(0, target, states)
        counts.index_add_(0, target, torch.ones_like(states[:, 0]))
        squares.index_add_(0, target, states.square().sum(dim=-1))

    def settle(self) -> None:
        """Take the means and the spread, and forget the sums."""
        if not self._seen:
            return
        sums, counts, squares = self._seen.pop()
        means = sums / counts.clamp_min(1)[:, None]
        within = squares - counts * means.square().sum(dim=-1)
        spread = (within.sum() / counts.sum().clamp_min(1)).clamp_min(1e-12)
        self.means.copy_(means / spread)
        self.bias.copy_(-means.square().sum(dim=-1) / (2 * spread))
        self.bias[counts == 0] = -1e4
