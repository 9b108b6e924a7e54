"""Where the score of a label is cut so that its F1 is best."""

from __future__ import annotations

import torch
from torch import Tensor

FARTHEST = 3.0
"""Log-odds beyond which no cut is moved: a probability of about 0.05 or 0.95."""


def best_shift(scores: Tensor, gold: Tensor) -> float:
    """The score above which a label counts as there with the best F1; 0 unless another is better.

    Args:
        scores: Log-odds of the label, ``[N]``.
        gold: Whether it is there, ``[N]`` bool.
    """
    if not gold.any():
        return 0.0
    scores, order = scores.double().sort(descending=True)
    right = gold[order].double().cumsum(0)
    said = torch.arange(1, len(scores) + 1, dtype=torch.float64)
    f1 = 2 * right / (said + gold.sum())
    # A cut lies between two scores that differ.
    cuts = torch.cat([(scores[:-1] + scores[1:]) / 2, scores[-1:] - 1.0])
    differ = torch.cat([scores[:-1] > scores[1:], torch.tensor([True])])
    f1 = f1.masked_fill(~differ | (cuts.abs() > FARTHEST), -1.0)
    usual = int((scores > 0).sum())
    now = float(2 * right[usual - 1] / (usual + gold.sum())) if usual else 0.0
    best = int(f1.argmax())
    return float(cuts[best]) if float(f1[best]) > now else 0.0
