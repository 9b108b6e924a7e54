"""Rows that become one, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tokenexit.halting.merging import Merging

TEXT = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1])
STATES = torch.tensor([[float(n), float(n * n)] for n in range(8)])


def cut(merging: Merging, rows: list[int], keep: list[int], weight: list[float]) -> Any:
    """What becomes of some rows, of which those that stand for others are told by no weight."""
    original, text = np.array(rows), TEXT[rows]
    alone = torch.from_numpy(np.flatnonzero(~merging.among(original)))
    kept = torch.tensor([row in keep for row in rows])
    return merging.cut(original, text, kept, merging.weighed(text, torch.tensor(weight), alone))


def test_equal_weights_give_the_plain_mean_and_the_first_stays_first():
    found = cut(Merging(2, torch.device("cpu")), [*range(8)], [0, 1, 5, 6, 7], [1.0] * 8)
    assert found.stay.tolist() == [True, True, True, False, False, True, True, True]
    assert found.slots.nonzero()[0].tolist() == [2]
    expected = [STATES[0], STATES[1], STATES[2:5].mean(dim=0), *STATES[5:]]
    assert torch.equal(found.of(STATES), torch.stack(expected))


def test_weights_add_up_over_layers_and_the_place_is_that_of_the_heaviest():
    merging = Merging(2, torch.device("cpu"))
    first = cut(merging, [*range(8)], [0, 1, 2, 5], [9.0, 1, 1, 1, 3, 9, 1, 2])
    assert np.flatnonzero(first.slots).tolist() == [4, 7]
    rows, states = np.flatnonzero(first.stay).tolist(), first.of(STATES)
    assert torch.equal(states[3], STATES[3] / 4 + 3 * STATES[4] / 4)
    assert cut(merging, rows, [0, 1, 2, 5], [1.0] * 4) is None  # nobody joins
    second = cut(merging, rows, [0, 2, 5], [1.0, 12, 1, 1])
    assert np.flatnonzero(second.slots).tolist() == [1, 5]  # 12 against 1 + 3
    merged = second.of(states)
    by_hand = (STATES[3] + 3 * STATES[4] + 12 * STATES[1]) / 16
    torch.testing.assert_close(merged[1], by_hand)
    assert torch.equal(merged[-1], states[-1])  # of a text that nobody leaves


def test_rows_of_no_weight_count_alike():
    found = cut(Merging(2, torch.device("cpu")), [*range(5)], [0, 1], [0.0] * 5)
    torch.testing.assert_close(found.of(STATES[:5])[2], STATES[2:5].mean(dim=0))


def test_the_mean_hands_gradients_to_weights_and_states():
    states, weight = STATES[:5].clone().requires_grad_(), torch.tensor([1.0, 2, 3, 4, 5])
    weight.requires_grad_()
    keep = torch.tensor([True, True, False, False, False])
    found = Merging(1, torch.device("cpu")).cut(np.arange(5), TEXT[:5], keep, weight)
    assert found is not None
    found.of(states)[2, 0].backward()
    assert states.grad is not None
    assert states.grad[:, 0].tolist() == pytest.approx([0, 0, 3 / 12, 4 / 12, 5 / 12])
    mean = (3 * 2 + 4 * 3 + 5 * 4) / 12
    assert weight.grad is not None
    assert weight.grad.tolist() == pytest.approx([0, 0, *((n - mean) / 12 for n in (2, 3, 4))])
