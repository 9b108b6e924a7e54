"""Whether the numbers in weights are still what they were, asked at each call.

Reading all of them takes as long as a sentence. Counts of changes are quick, but neither fused
optimisers nor writing to ``.data`` is counted. So biases, norms and small matrices are compared
whole; of large ones another row each time, which every step of an optimiser changes, and a column
in turn. All are compared once so many rows have been computed that it takes a hundredth of that
time. Until then a change of a few numbers of a large matrix through ``.data`` may go unseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import count
from operator import attrgetter
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from tokenexit import kernels

_SMALL = 4096
"""Numbers of a matrix that is compared whole."""

_TURNS = 8
"""Choices of rows and columns, taken in turn."""

_THINNED = 4
"""Of a column, every so many numbers are compared."""

_ALL_AFTER = 8192
"""Rows computed between comparisons of everything."""

_version = attrgetter("_version")


class _Look(Protocol):
    def same(self, rows: int = 0) -> bool:
        """Whether nothing has changed, as far as it is looked at."""
        ...


class Watch:
    """Remembers tensors, to be asked whether their numbers have changed.

    Args:
        tensors: Of one type, which has 32 bits, and in one place; they stay there.
        beside: More of the kind, of which large ones are used where they are: only whether they
            have been written to counts.
    """

    def __init__(self, tensors: Sequence[Tensor], beside: Sequence[Tensor] = ()) -> None:
        given = [*{id(tensor): tensor for tensor in tensors}.values()]
        ours = {*map(id, given)}
        others = [tensor for tensor in beside if id(tensor) not in ours]
        given += [tensor for tensor in others if _is_small(tensor)]
        self._counted = [
            tensor
            for tensor in (*given, *others)
            if not _is_small(tensor) and not tensor.is_inference()
        ]
        self._counts = [*map(_version, self._counted)]
        self._look = _look([tensor.detach() for tensor in given if tensor.numel()])

    def same(self, rows: int = 0) -> bool:
        """Whether nothing has changed, as far as it is looked at.

        Args:
            rows: How many will be computed before the next question.
        """
        return [*map(_version, self._counted)] == self._counts and self._look.same(rows)


def _is_small(tensor: Tensor) -> bool:
    return tensor.dim() < 2 or tensor.numel() <= _SMALL


def _look(tensors: Sequence[Tensor]) -> _Look:
    if all(tensor.is_cpu and tensor.is_contiguous() for tensor in tensors):
        library = kernels.library()
        if library is not None:
            rows = [t.view(1 if _is_small(t) else len(t), -1) for t in tensors]
            return kernels.WatchedNumbers(library, rows)
    return _ByTorch(tensors)


class _ByTorch:
    """The same where there are no kernels, or for a GPU."""

    def __init__(self, plain: Sequence[Tensor]) -> None:
        self._views = [_views(plain, turn) for turn in range(_TURNS)]
        self._seen = [_bits(views) for views in self._views]
        self._large = [tensor for tensor in plain if not _is_small(tensor)]
        self._products = products(self._large)
        self._turn = count()
        self._rows = 0

    def same(self, rows: int = 0) -> bool:
        turn = next(self._turn) % _TURNS
        if not _equal(_bits(self._views[turn]), self._seen[turn]):
            return False
        self._rows += rows
        if self._rows < _ALL_AFTER:
            return True
        self._rows = 0
        return torch.equal(products(self._large), self._products)


def _views(tensors: Sequence[Tensor], turn: int) -> list[Tensor]:
    """All of each small tensor and a row of each large one; a column when it is its turn."""
    found = []
    for number, tensor in enumerate(tensors):
        if _is_small(tensor):
            found += [tensor.flatten()] if tensor.is_contiguous() else [*tensor]
            continue
        rows = tensor.view(len(tensor), -1)
        found.append(rows[(turn * len(rows) // _TURNS + number) % len(rows)])
        if number % _TURNS == turn:  # A column lies all over memory, so it is thinned.
            found.append(rows[turn % _THINNED :: _THINNED, number * 7 % rows.shape[1]])
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
