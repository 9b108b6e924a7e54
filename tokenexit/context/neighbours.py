"""What a row knows of the rows around it: what each of them last said, and whether it has left."""

from __future__ import annotations

import torch
from torch import Tensor

from tokenexit.signals import Signals

Around = tuple[Tensor, Tensor]
"""Numbers of the neighbours, ``[N, K, M]``, and whether there is one, ``[N, K]`` bool."""


def look(
    signals: Signals, numbers: Tensor, reach: int, before: Around | None
) -> tuple[Tensor, Around]:
    """Look at the words around; those that do not arrive any more stay as they were.

    Neighbours are words of the same window, ``reach`` on either side, from the left. Who they are
    is known at the first exit, where all arrive.

    Args:
        signals: The rows that arrived.
        numbers: What each of them tells its neighbours, ``[N, M]``.
        reach: Neighbours on either side.
        before: What was known at the exit before; None at the first.

    Returns:
        What a gate reads, ``[N, K * (M + 2)]``, and what to remember.
    """
    found = _places(signals, reach)
    here = found >= 0
    new = numbers[found.clamp_min(0)]
    if before is None:
        known = torch.where(here[..., None], new, 0.0), here
    else:
        known = torch.where(here[..., None], new, before[0]), before[1]
    return told(*known, ~here), known


def told(numbers: Tensor, there: Tensor, left: Tensor) -> Tensor:
    """What a gate reads of neighbours: their numbers, whether they exist, whether they have left.

    Args:
        numbers: ``[N, K, M]``; 0 where there is none.
        there: ``[N, K]`` bool.
        left: ``[N, K]`` bool.
    """
    flags = [there.float(), (there & left).float()]
    return torch.cat([numbers.flatten(1), *flags], dim=1)


def _places(signals: Signals, reach: int) -> Tensor:
    """Number, among the rows that arrived, of each one's neighbours, ``[N, K]``; -1 for none."""
    device = signals.hidden.device
    width = signals.extent + 2 * reach
    grid = torch.full((signals.num_sequences * width,), -1, device=device)
    place = signals.sequence * width + signals.position + reach
    grid[place] = torch.arange(len(signals), device=device)
    steps = torch.arange(-reach, reach + 1, device=device)  # made there: no copy from the host
    return grid[place[:, None] + torch.cat([steps[:reach], steps[reach + 1 :]])]
