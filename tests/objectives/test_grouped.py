"""Exits in groups that take turns, each in equilibrium of its own."""

from __future__ import annotations

import pytest
import torch

from tokenexit.errors import UserError
from tokenexit.objectives import from_config
from tokenexit.objectives.grouped import group_of


def test_groups_of_twelve_exits():
    exits = tuple(range(1, 13))
    assert group_of(exits, 2, 0) == (1, 3, 5, 7, 9, 11, 12)
    assert group_of(exits, 2, 1) == group_of(exits, 2, 7) == (2, 4, 6, 8, 10, 12)
    assert group_of((3, 6), 5, 1) == (6,)  # no more groups than exits
    assert group_of((3,), 2, 1) == (3,)


@pytest.mark.parametrize(("step", "share"), [(0, (2, 1, 1)), (1, (2, 2, 1))])
def test_a_layer_passes_an_equal_part_to_each_exit_left_in_its_group(toy, teach, step, share):
    # Step 0 trains exits 1 and 3: two are left at layer 1, and layer 2 has none of its own.
    model, sentences = toy.build(double=True), toy.sentences(toy.build(), 5)
    plain = teach(model, {"name": "grouped", "balance": False}, sentences, step=step)
    calm = teach(model, {"name": "grouped"}, sentences, step=step)
    assert set(calm.by_layer) == {1 + step, 3}
    assert torch.equal(plain.loss, calm.loss)
    torch.testing.assert_close(plain.loss.detach(), sum(v for v, _ in calm.by_layer.values()))
    divisors = {f"encoder.layer.{layer}.": part for layer, part in enumerate(share)}
    divisors["embeddings"] = share[0]
    for name, gradient in plain.gradients.items():
        if gradient is None:
            continue
        divisor = next((value for part, value in divisors.items() if part in name), 1)
        torch.testing.assert_close(calm.gradients[name], gradient / divisor, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("groups", [0, True, 1.5, "2"])
def test_no_number_of_groups(groups):
    with pytest.raises(UserError, match=r"grouped\.groups must be a whole number from 1"):
        from_config({"name": "grouped", "groups": groups})
