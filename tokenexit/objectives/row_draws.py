"""Chance of rows, the same however a step is cut into batches."""

from __future__ import annotations

import torch
from torch import Tensor

from tokenexit.objectives.base import BatchInfo, draw
from tokenexit.reducers import Rows
from tokenexit.transfer import send

_STRIDE = 2_654_435_761  # so that no draw of another step is met again


def row_draws(info: BatchInfo, rows: Rows, salt: int) -> Tensor:
    """Uniform numbers of rows at their layer, ``[R]``, that depend on seed, step and text alone.

    Args:
        info: The step.
        rows: Of its texts.
        salt: Which of several draws.
    """
    drawn = [
        draw(info, length, salt + _STRIDE * (place * 1024 + rows.layer))
        for place, length in zip(info.sentence.tolist(), rows.lengths.tolist(), strict=True)
    ]
    starts = rows.lengths.cumsum(0) - rows.lengths
    return send([torch.cat(drawn)], rows.text.device)[0][starts[rows.text] + rows.position]
