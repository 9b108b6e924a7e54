"""The loss of a masked language model with exits, with masks drawn anew in each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tokenexit.halting import encode, pack
from tokenexit.models.encoders.masked_model import MaskedModel
from tokenexit.models.encoders.passages import Masking, Passage
from tokenexit.objectives import Objective
from tokenexit.objectives.joint import JointLoss
from tokenexit.signals import Signals
from tokenexit.training.batches import MicroBatch
from tokenexit.training.encoder_loss import EncoderLossModule
from tokenexit.training.loss_module import Losses


class MaskedLossModule(EncoderLossModule):
    """Masked tokens are the words of a window; the others are read, and guessed by nobody.

    Args:
        model: With heads for masked tokens.
        objective: How its exits are trained.
        gradient_equilibrium: Whether to balance the gradients of all exits.
        masking: Draws what is masked.
    """

    def __init__(
        self,
        model: MaskedModel,
        objective: Objective,
        gradient_equilibrium: bool = False,
        *,
        masking: Masking,
    ) -> None:
        told: Any = model  # what is asked of a labelling model here, it has
        super().__init__(told, objective, gradient_equilibrium)
        self._masking = masking

    @property
    def classes(self) -> int:  # type: ignore[override]
        """Entries of the vocabulary."""
        return self._masking.entries

    def forward(
        self, part: MicroBatch, step: int, progress: float, seed: int, outer: bool = False
    ) -> Losses:
        """See ``LossModule``; the draw depends on seed, step and place, however it was cut."""
        masked = [
            self._masking(passage, draw_seed(seed, step, place))
            for passage, place in zip(part.sentences, part.places, strict=True)
        ]
        return super().forward(replace(part, sentences=masked), step, progress, seed, outer)


def draw_seed(seed: int, step: int, place: int) -> int:
    """Of a window's masks.

    Args:
        seed: Of the run.
        step: From 0; -1 where windows are only measured.
        place: Of the window in its step.
    """
    return ((seed * 1_000_003 + step + 1) * 1_000_003 + place) * 7_919 + 1


class _Measured(JointLoss):
    """Cross-entropy of each exit and how many tokens it guessed right."""

    def __init__(self, exits: Sequence[int]) -> None:
        super().__init__(dict.fromkeys(exits, 1.0))
        self.right: dict[int, Tensor] = {}

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        """Add what an exit says."""
        said = signals.logits.argmax(dim=-1)
        self.right[signals.layer] = (said == signals.target).sum()
        return super().arrive(signals, words)


@torch.no_grad()
def masked_quality(
    model: MaskedModel, windows: Sequence[Passage], masking: Masking, seed: int, batch_size: int
) -> Tensor:
    """Of each exit: cross-entropy and right guesses, both summed, and guesses, ``[E, 3]``.

    Args:
        model: In whatever mode, in which it is left.
        windows: With the same masks each time.
        masking: Draws them.
        seed: Of the draw.
        batch_size: Windows a batch.
    """
    mode, exits = model.training, model.settings.exit_layers
    model.eval()
    total = torch.zeros(len(exits), 3, dtype=torch.float64)
    for start in range(0, len(windows), batch_size):
        some = enumerate(windows[start : start + batch_size], start)
        masked = [masking(window, draw_seed(seed, -1, place)) for place, window in some]
        told = _Measured(exits)
        encode(model.backbone, model.heads, pack(masked, model.device), told)
        for row, layer in enumerate(exits):
            loss, count = told.by_layer[layer]
            found = torch.stack([loss, told.right[layer].to(loss), count.to(loss)])
            total[row] += found.double().cpu()
    model.train(mode)
    return total
