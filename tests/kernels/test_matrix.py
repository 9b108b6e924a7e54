from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tokenexit.errors import UserError
from tokenexit.kernels import ACTIVATIONS, KINDS, Library, Matrix, reference

SHAPES = [(1, 5, 1), (3, 32, 8), (7, 33, 70), (13, 96, 130), (2, 2051, 9), (65, 12, 64)]
"""Rows, K, N: odd widths, one column, more than one panel, sums that are carried over."""


def drawn(rows: int, depth: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(rows * depth + width)
    return (
        torch.randn(rows, depth, generator=draw) * 3 + 0.5,
        torch.randn(width, depth, generator=draw),
        torch.randn(width, generator=draw),
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_int8_is_the_reference_bit_for_bit(each: Library, shape: tuple[int, int, int]):
    rows, weight, bias = drawn(*shape)
    expected = reference.linear_int8(rows, *reference.quantize_weight(weight), bias)
    assert torch.equal(Matrix(each, weight, bias)(rows), expected)


@pytest.mark.parametrize("depth", [1, 3, 7, 33, 65])
@pytest.mark.parametrize("width", [1, 3, 7, 33, 65])
def test_every_width_is_padded(each: Library, depth: int, width: int):
    rows, weight, bias = drawn(5, depth, width)
    expected = reference.linear_int8(rows, *reference.quantize_weight(weight), bias)
    assert torch.equal(Matrix(each, weight, bias)(rows), expected)
    floats = Matrix(each, weight, bias, "fp32")(rows)
    assert_close(floats, torch.nn.functional.linear(rows, weight, bias), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_floats_are_torchs_to_rounding(each: Library, shape: tuple[int, int, int]):
    rows, weight, bias = drawn(*shape)
    for kind, stored in (("fp32", weight), ("bf16", weight.bfloat16().float())):
        expected = rows.double() @ stored.double().t() + bias
        assert (Matrix(each, weight, bias, kind)(rows) - expected).abs().max() < 2e-3


def test_extremes_neither_saturate_nor_overflow(each: Library):
    # The largest bytes with the largest weights, for which 16 bits are not enough.
    rows = torch.cat([torch.full((1, 4096), 2.0), torch.full((1, 4096), -2.0)])
    rows[:, 0] = 0
    weight = torch.cat([torch.full((1, 4096), 1.0), torch.full((1, 4096), -1.0)])
    expected = reference.linear_int8(rows, *reference.quantize_weight(weight), None)
    assert torch.equal(Matrix(each, weight)(rows), expected)


def test_rows_of_zeros_give_the_bias(each: Library):
    matrix = Matrix(each, torch.zeros(3, 8), torch.arange(3.0))
    assert matrix(torch.zeros(2, 8)).tolist() == [[0, 1, 2]] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_never_depends_on_others(each: Library, kind: str):
    rows, weight, bias = drawn(31, 70, 150)
    matrix = Matrix(each, weight, bias, kind)
    whole = matrix(rows)
    for count in range(1, 9):
        parts = [matrix(part) for part in rows.split(count)]
        assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", ["int8", "fp32"])
def test_what_follows_a_product(each: Library, kind: str, activation: str):
    rows, weight, bias = drawn(9, 40, 70)
    matrix = Matrix(each, weight, bias, kind)
    plain = matrix(rows)
    plus, times = torch.randn(9, 70), torch.randn(9, 70)
    expected = reference.activate(plain, activation)
    assert (matrix(rows, activation) - expected).abs().max() < 2e-5
    joined = matrix(rows, activation, plus, times)
    assert (joined - (expected * times + plus)).abs().max() < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_threads_change_nothing(library: Library, kind: str):
    before = torch.get_num_threads()
    for shape in [(1, 256, 3000), (400, 64, 100)]:
        rows, weight, bias = drawn(*shape)
        matrix = Matrix(library, weight, bias, kind)
        alone = matrix(rows)
        try:
            torch.set_num_threads(3)
            assert torch.equal(matrix(rows), alone)
        finally:
            torch.set_num_threads(before)


def test_instruction_sets_agree_in_every_bit(library: Library):
    rows, weight, bias = drawn(11, 75, 90)
    before, made = library.isa, {}
    for isa in library.isas():
        library.use(isa)
        made[isa] = [Matrix(library, weight, bias, kind)(rows, "gelu") for kind in KINDS]
    library.use(before)
    first = made[library.isas()[0]]
    for isa, results in made.items():
        for one, other in zip(results, first, strict=True):
            if isa == "portable":  # it multiplies and adds in two roundings
                torch.testing.assert_close(one, other)
            else:
                assert torch.equal(one, other)


def test_leading_dimensions_stay(library: Library):
    rows, weight, bias = drawn(6, 8, 4)
    matrix = Matrix(library, weight, bias, "fp32")
    assert matrix(rows.view(2, 3, 8)).shape == (2, 3, 4)
    assert matrix(rows[:0]).shape == (0, 4)


def test_what_a_kernel_would_misread_is_refused(library: Library):
    matrix = Matrix(library, torch.ones(3, 8))
    rows = torch.ones(2, 8)
    for wrong in (rows.double(), torch.ones(2, 7), rows.to("meta")):
        with pytest.raises(ValueError, match=r"Kernels take float32 \[2, 8\] on the CPU"):
            matrix(wrong)
    with pytest.raises(ValueError, match=r"float32 \[2, 3\]"):
        matrix(rows, plus=torch.ones(3))
    turned = torch.ones(8, 2).t()
    assert torch.equal(matrix(turned), matrix(rows))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(library: Library, bad: float):
    weight = torch.ones(2, 4)
    weight[1, 2] = bad
    with pytest.raises(UserError, match="weights of the head hold NaN or infinity"):
        Matrix(library, weight, name="the head")
    with pytest.raises(UserError, match="hold NaN"):
        Matrix(library, torch.ones(1, 4), torch.tensor([bad]))


def test_unknown_kinds_are_refused(library: Library):
    with pytest.raises(UserError, match="Did you mean 'int8'"):
        Matrix(library, torch.ones(1, 4), kind="int9")
