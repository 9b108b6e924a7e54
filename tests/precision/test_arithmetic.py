"""Rows and weights in 8 bits: near what they stand for, each by itself, summed exactly."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from tokenexit.kernels import reference
from tokenexit.precision import integer_product, product, quantise_rows, quantise_weights


@pytest.fixture
def draw() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_rows_are_near_and_use_the_whole_range(draw: torch.Generator) -> None:
    rows = torch.randn(7, 40, generator=draw) * torch.logspace(-3, 3, 7)[:, None]
    made = quantise_rows(rows)
    assert made.values.dtype == torch.uint8
    back = (made.values.int() - made.zero) * made.scale
    assert ((back - rows).abs() <= 0.51 * made.scale).all()
    assert (made.values.amax(dim=1) == 255).all()
    assert (made.values.amin(dim=1) == 0).all()


def test_zero_stands_for_itself(draw: torch.Generator) -> None:
    rows = torch.randn(5, 24, generator=draw).add_(
        torch.tensor([9.0, -9.0, 0.0, 3.0, 0.1])[:, None]
    )
    rows[:, 4] = 0.0
    rows[2] = 0.0
    made = quantise_rows(rows)
    assert torch.equal(made.values[:, 4].int(), made.zero[:, 0])
    assert (made.values[2] == made.zero[2]).all()


def test_a_row_depends_on_no_other(draw: torch.Generator) -> None:
    rows = torch.randn(9, 33, generator=draw)
    together = quantise_rows(rows)
    for place in range(len(rows)):
        alone = quantise_rows(rows[place, None])
        assert torch.equal(alone.values[0], together.values[place])
        assert torch.equal(alone.scale[0], together.scale[place])
        assert torch.equal(alone.zero[0], together.zero[place])


def test_weights_are_near_and_symmetric(draw: torch.Generator) -> None:
    weight = torch.randn(6, 50, generator=draw) * torch.logspace(-2, 2, 6)[:, None]
    weight[3] = 0.0
    made = quantise_weights(weight)
    back = made.values * made.scale[:, None]
    assert ((back - weight).abs() <= 0.51 * made.scale[:, None]).all()
    assert torch.equal(made.total, made.values.int().sum(dim=1).int())
    assert torch.equal(quantise_weights(-weight).values, -made.values)
    assert (made.values.abs().amax(dim=1)[[0, 1, 2, 4, 5]] == 127).all()


@pytest.fixture(params=[True, False], ids=["exact", "saturating"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """A processor whose product is exact, and one whose pairs of products need 16 bits."""
    if not request.param:
        monkeypatch.setattr(product, "exact", lambda: False)
        real = product._multiplied

        def saturating(rows: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
            # As vpmaddubsw: two products beside each other are summed into 16 bits.
            wide = rows.to(torch.int32)[:, :, None] * weights.to(torch.int32)[None]
            wide = torch.nn.functional.pad(wide, (0, 0, 0, wide.shape[1] % 2))
            pairs = wide.unflatten(1, (-1, 2)).sum(dim=2).clamp(-(2**15), 2**15 - 1)
            return pairs.sum(dim=1).to(torch.int32)

        most = torch.full((1, 8), 255, dtype=torch.uint8)
        least = torch.full((8, 8), 127, dtype=torch.int8)
        assert not torch.equal(saturating(most, least), real(most, least))
        monkeypatch.setattr(product, "_multiplied", saturating)
    elif not product.exact():
        pytest.skip("torch's product saturates on this processor")
    return request.param


@pytest.mark.parametrize("shape", [(1, 32, 8), (5, 7, 3), (17, 64, 40), (5, 1, 9), (1, 1, 3)])
@pytest.mark.usefixtures("machine")
def test_sums_are_exact(shape: tuple[int, int, int], draw: torch.Generator) -> None:
    count, width, out = shape
    rows = torch.randint(0, 256, (count, width), generator=draw, dtype=torch.uint8)
    weights = torch.randint(-127, 128, (out, width), generator=draw, dtype=torch.int8)
    rows[0], weights[0] = 255, 127
    found = integer_product(rows, weights)
    assert found.dtype == torch.int32
    assert torch.equal(found.long(), rows.long() @ weights.long().T)


def test_the_machine_is_asked_with_the_largest_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    def saturating(rows: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        sums = rows.int() @ weights.int()
        return sums.clamp(-(2**15), 2**15 - 1)

    monkeypatch.setattr(product, "_multiplied", saturating)
    assert not product.exact.__wrapped__()


def test_a_product_is_near_the_float_one(draw: torch.Generator) -> None:
    rows, weight = torch.randn(12, 96, generator=draw), torch.randn(20, 96, generator=draw)
    q, w = quantise_rows(rows), quantise_weights(weight)
    sums = integer_product(q.values, w.values) - q.zero * w.total
    assert_close(sums * q.scale * w.scale, rows @ weight.T, atol=0.3, rtol=0.05)


def test_rows_are_those_of_the_kernels(draw: torch.Generator) -> None:
    rows = torch.randn(400, 37, generator=draw) * torch.logspace(-14, 6, 400)[:, None]
    rows[0] = 0.0
    rows[1], rows[2] = rows[1].abs(), -rows[2].abs()
    rows[3] = torch.arange(-18.0, 19.0) / 2  # between two steps, again and again
    made = quantise_rows(rows)
    values, step, zero = reference.quantize_rows(rows)
    assert torch.equal(made.values, values)
    assert torch.equal(made.scale[:, 0], step)
    assert torch.equal(made.zero[:, 0], zero)


@pytest.mark.parametrize(("width", "light"), [(512, True), (600, False)])
def test_float32_holds_the_sums_or_is_not_asked_to(width: int, light: bool) -> None:
    w = quantise_weights(torch.ones(3, width))
    assert (w.light is not None) == light
    if w.light is not None:
        assert torch.equal(w.light.int(), w.total)
