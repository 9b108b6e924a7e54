"""Numbers that kernels watch: everything is looked at in the end, a row of each at once."""

from __future__ import annotations

import pytest
import torch

from tokenexit import kernels

pytestmark = pytest.mark.skipif(kernels.library() is None, reason=kernels.status())


def watched(*shapes: tuple[int, int]) -> tuple[list[torch.Tensor], kernels.WatchedNumbers]:
    draw = torch.Generator().manual_seed(0)
    tensors = [torch.randn(shape, generator=draw) for shape in shapes]
    library = kernels.library()
    assert library is not None
    return tensors, kernels.WatchedNumbers(library, tensors)


@pytest.mark.parametrize("width", [1, 15, 16, 17, 64, 100])
def test_every_number_of_a_single_row_counts(width: int) -> None:
    (row,), watch = watched((1, width))
    assert watch.same()
    for place in range(width):
        before = float(row[0, place])
        row[0, place] = float("nan")
        assert not watch.same()
        row[0, place] = -before
        assert not watch.same()
        row[0, place] = before
        assert watch.same()


@pytest.mark.parametrize("change", [torch.neg, lambda row: row.flip(1), lambda row: row + 1e-6])
def test_all_numbers_at_once_count(change: object) -> None:
    for width in (64, 512, 1024, 2048):
        (rows,), watch = watched((4, width))
        rows.copy_(change(rows.clone()))  # type: ignore[operator]
        assert not watch.same()


def test_rows_are_looked_at_in_turn() -> None:
    tensors, watch = watched((8, 5), (1, 3), (40, 6))
    tensors[2][23, 4] += 1
    assert sum(not watch.same() for _ in range(120)) == 3


def test_a_channel_is_seen_when_it_is_the_tensors_turn() -> None:
    tensors, watch = watched((400, 5), (300, 3), (500, 6))
    tensors[2][371] += 1
    assert not all(watch.same() for _ in range(3))


@pytest.mark.parametrize("rows", [100, 8192, 10**6])
def test_all_are_looked_at_in_so_many_rows(rows: int) -> None:
    tensors, watch = watched((300, 5), (700, 6), (1, 9))
    assert all(watch.same(rows) for _ in range(2))
    tensors[1][690, 5] += 1
    assert not all(watch.same(rows) for _ in range(-(-8192 // rows) + 1))


def test_nothing_to_watch() -> None:
    assert watched()[1].same(10**6)
