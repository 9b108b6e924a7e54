from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from tokenexit.kernels import ACTIVATIONS, Library, reference

WIDTHS = [1, 7, 8, 16, 19, 33, 64, 100]


@pytest.mark.parametrize("width", WIDTHS)
def test_rows_are_quantised_as_in_the_reference(each: Library, width: int):
    rows = torch.randn(50, width) * torch.logspace(-20, 20, 50)[:, None]
    deep = -(-width // 4) * 4
    small = torch.full((50, deep), 9, dtype=torch.uint8)
    step, zero = torch.empty(50), torch.empty(50, dtype=torch.int32)
    each.quantize_rows(
        rows.data_ptr(), 50, width, small.data_ptr(), step.data_ptr(), zero.data_ptr()
    )
    expected = reference.quantize_rows(rows)
    assert torch.equal(small[:, :width], expected[0])
    assert not small[:, width:].any()
    assert torch.equal(step, expected[1])
    assert torch.equal(zero, expected[2])


@pytest.mark.parametrize("width", WIDTHS)
def test_norms(each: Library, width: int):
    rows, weight, bias = torch.randn(5, width) * 3 + 1, torch.randn(width), torch.randn(width)
    made = torch.empty_like(rows)
    for shift in (bias, None):
        given = None if shift is None else shift.data_ptr()
        each.layer_norm_rows(
            rows.data_ptr(), weight.data_ptr(), given, 5, width, 1e-5, made.data_ptr()
        )
        torch.testing.assert_close(made, F.layer_norm(rows, (width,), weight, shift, 1e-5))
    each.rms_norm_rows(rows.data_ptr(), weight.data_ptr(), 5, width, 1e-6, made.data_ptr())
    torch.testing.assert_close(made, reference.rms_norm(rows, weight, 1e-6))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_everywhere(each: Library, activation: str):
    points = torch.cat([torch.linspace(-30, 30, 4001), torch.tensor([0.0, 1e30, 1e-30])])
    made = points.clone()
    each.activation(made.data_ptr(), len(made), ACTIVATIONS[activation])
    expected = reference.activate(points.double(), activation)
    assert ((made - expected).abs() <= 1e-6 + 1e-6 * expected.abs()).all()


def test_relu_does_not_hide_a_nan(each: Library):
    points = torch.tensor([float("nan"), -1.0, 2.0])
    each.activation(points.data_ptr(), 3, ACTIVATIONS["relu"])
    assert points[0].isnan()
    assert points[1:].tolist() == [0, 2]


@pytest.mark.parametrize("width", [1, 8, 16, 20, 33, 64])
@pytest.mark.parametrize(("rows", "keys"), [(1, 1), (3, 15), (4, 16), (13, 17), (9, 1500)])
def test_attention_of_a_head(each: Library, width: int, rows: int, keys: int):
    queries, at, values = (
        torch.randn(rows, width),
        torch.randn(keys, width),
        torch.randn(keys, width),
    )
    bias, mask = torch.randn(rows, keys), torch.randn(keys)
    mask[keys // 2 + 1 :] = torch.finfo(torch.float32).min
    for more in ({}, {"bias": bias}, {"mask": mask}, {"bias": bias, "mask": mask}):
        made = run_attention(each, queries, at, values, 0.3, **more)
        expected = reference.attention(queries, at, values, 0.3, **more)
        torch.testing.assert_close(made, expected, rtol=2e-5, atol=2e-5)


def test_a_query_never_depends_on_others(each: Library):
    queries, keys, values = torch.randn(19, 8), torch.randn(21, 8), torch.randn(21, 8)
    whole = run_attention(each, queries, keys, values, 1.0)
    for count in range(1, 9):
        parts = [run_attention(each, q, keys, values, 1.0) for q in queries.split(count)]
        assert torch.equal(torch.cat(parts), whole)


def test_a_query_that_may_see_nothing_gets_zeros(each: Library):
    mask = torch.full((3,), float("-inf"))
    made = run_attention(
        each, torch.randn(2, 8), torch.randn(3, 8), torch.randn(3, 8), 1.0, mask=mask
    )
    assert not made.any()


def run_attention(library, queries, keys, values, scale, bias=None, mask=None):
    made = torch.empty_like(queries)
    library.attention(
        queries.data_ptr(),
        keys.data_ptr(),
        values.data_ptr(),
        queries.shape[1],
        len(queries),
        len(keys),
        queries.shape[1],
        scale,
        None if bias is None else bias.data_ptr(),
        len(keys),
        None if mask is None else mask.data_ptr(),
        made.data_ptr(),
    )
    return made
