"""Whether the numbers in weights are still what they were, asked at each call.

Reading all of them takes as long as a sentence. Counts of changes are quick, but neither fused
optimisers nor writing to ``.data`` is counted. So of large matrices another row is compared each
time, which every step of an optimiser changes, and columns and biases in turn; small ones are
compared whole. All are compared once so many rows have been computed that it takes a hundredth of
that time. Until then a change of a few numbers through ``.data`` may go unseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import count

import numpy as np
import torch
from torch import Tensor

_SMALL = 4096
"""Numbers of a matrix that is compared whole."""

_TURNS = 8
"""Choices of rows and columns, taken in turn."""

_THINNED = 4
"""Of a column, every so many numbers are compared."""

_ALL_AFTER = 8192
"""Rows computed between comparisons of everything."""


class Watch:
    """Remembers tensors, to be asked whether their numbers have changed.

    Args:
        tensors: Of one type, which has 32 bits, and in one place; they stay there.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._counted = [tensor for tensor in tensors if not tensor.is_inference()]
        self._counts = _counts(self._counted)
        plain = [tensor.detach() for tensor in tensors]
        self._views = [_views(plain, turn) for turn in range(_TURNS)]
        self._seen = [_bits(views) for views in self._views]
        self._large = [tensor for tensor in plain if tensor.numel() > _SMALL]
        self._products = products(self._large)
        self._turn = count()
        self._rows = 0

    def same(self, rows: int = 0) -> bool:
        """Whether nothing has changed, as far as it is looked at.

        Args:
            rows: How many will be computed before the next question.
        """
        if _counts(self._counted) != self._counts:
            return False
        turn = next(self._turn) % _TURNS
        if not _equal(_bits(self._views[turn]), self._seen[turn]):
            return False
        self._rows += rows
        if self._rows < _ALL_AFTER:
            return True
        self._rows = 0
        return torch.equal(products(self._large), self._products)


def _counts(tensors: Sequence[Tensor]) -> list[int]:
    return [tensor._version for tensor in tensors]


def _views(tensors: Sequence[Tensor], turn: int) -> list[Tensor]:
    """A row of each large matrix and all of each small one; the others when it is their turn."""
    found = []
    for number, tensor in enumerate(tensors):
        rows, mine = tensor.view(len(tensor), -1), number % _TURNS == turn
        if tensor.numel() <= _SMALL:
            found += [tensor.flatten()] if mine or tensor.dim() > 1 else []
            continue
        found.append(rows[(turn * len(rows) // _TURNS + number) % len(rows)])
        # A column lies all over memory, so it is thinned.
        found += [rows[turn % _THINNED :: _THINNED, number * 7 % rows.shape[1]]] if mine else []
    return found


def _bits(views: Sequence[Tensor]) -> Tensor:
    """Numbers side by side, as bits: nothing equals what is no number."""
    with torch.no_grad():
        return torch.cat([*views]).view(torch.int32) if views else torch.zeros(0)


def _equal(first: Tensor, second: Tensor) -> bool:
    if first.is_cpu:  # where NumPy is quicker
        return np.array_equal(first.numpy(), second.numpy())
    return torch.equal(first, second)


def products(tensors: Sequence[Tensor]) -> Tensor:
    """What other numbers would not give, as bits: the product of each matrix with one vector."""
    with torch.no_grad(), torch.autocast("cpu", enabled=False):
        rows = [tensor.view(len(tensor), -1) for tensor in tensors]
        return _bits([matrix.mv(_random(matrix.shape[1]).to(matrix.device)) for matrix in rows])


@cache
def _random(width: int) -> Tensor:
    draw = torch.Generator("cpu").manual_seed(width)
    return torch.rand(width, generator=draw, dtype=torch.float32, device="cpu") + 0.5
