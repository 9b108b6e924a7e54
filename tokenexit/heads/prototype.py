"""Class means instead of a trained classifier (E2CM)."""

from __future__ import annotations

import torch
from torch import Tensor

from tokenexit.heads.base import HEADS, ExitHead
from tokenexit.heads.temperature import best_temperature
from tokenexit.signals import Signals

SAMPLE = 2000
"""Training rows the temperature is fitted to."""


@HEADS.register("prototype")
class PrototypeHead(ExitHead):
    """The nearest class mean, at a temperature that makes distances probabilities.

    After Görmez et al. 2022. Nothing here is trained: after training, the states of the training
    split are averaged by class and the network needs no gradient through its exits. Logits are
    ``-d^2 / (2 s^2 T)`` with ``s^2`` the mean squared distance of a state to the mean of its class
    over the square root of their width, and ``T`` the temperature under which a sample of the
    training split is likeliest. Without it, the more dimensions a state has, the less a distance
    would say. The paper normalises distances by class and layer in its own way, which we
    could not verify. Before it has been fitted, and of classes it has never seen, it knows nothing.

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
        self._sample: list[tuple[Tensor, Tensor, Tensor]] = []  # states, classes, lots drawn

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
        self._draw(states, target, int(counts.sum()))

    def _draw(self, states: Tensor, target: Tensor, seed: int) -> None:
        """Keep the rows of the highest lots, which are a fair sample of all seen so far."""
        lots = torch.rand(len(target), generator=torch.Generator().manual_seed(seed))
        rows = (states.float(), target, lots.to(target.device))
        if self._sample:
            rows = tuple(torch.cat(pair) for pair in zip(self._sample.pop(), rows, strict=True))
        best = rows[2].topk(min(SAMPLE, len(rows[2]))).indices
        self._sample.append((rows[0][best], rows[1][best], rows[2][best]))

    def finalize(self) -> None:
        """Take the means, the spread and the temperature, and forget the states."""
        if not self._seen:
            return
        sums, counts, squares = self._seen.pop()
        states, target, _ = self._sample.pop()
        means = sums / counts.clamp_min(1)[:, None]
        within = squares - counts * means.square().sum(dim=-1)
        spread = (within.sum() / counts.sum().clamp_min(1)).clamp_min(1e-12)
        spread = spread / self.means.shape[1] ** 0.5
        bias = -means.square().sum(dim=-1) / (2 * spread)
        bias[counts == 0] = -1e4
        if len(target):
            heat = best_temperature(states.double() @ means.T / spread + bias, target)
            spread, bias = spread * heat, bias.where(counts == 0, bias / heat)
        self.means.copy_(means / spread)
        self.bias.copy_(bias)
