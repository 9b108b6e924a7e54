"""Reducers as values, and the numbers of the papers by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tokenexit import policies, reducers
from tokenexit.errors import UserError
from tokenexit.reducers import REDUCERS, Rows
from tokenexit.reducers.core_set import centres
from tokenexit.testing import check_reducer

EXAMPLES = [example for _, cls in REDUCERS.items() for example in cls.examples()]


@pytest.mark.parametrize("reducer", EXAMPLES, ids=repr)
def test_a_reducer_keeps_its_promises(reducer):
    check_reducer(reducer)


def rows(weights: Tensor, layer: int = 1) -> Rows:
    """One text, with the attention of its rows."""
    number = torch.arange(len(weights))
    return Rows(
        layer=layer,
        num_layers=12,
        text=torch.zeros_like(number),
        lengths=torch.tensor([len(weights)]),
        position=number,
        item_id=number,
        pinned=number == 0,
        hidden=torch.zeros(len(weights), 4),
        received=weights.sum(dim=0),
        own=weights.diagonal(),
    )


def test_the_diagonal_changes_who_is_significant():
    weights = torch.tensor([[0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.05, 0.05, 0.9]])
    shown = rows(weights)
    assert shown.attention(own=False).tolist() == pytest.approx([0.65, 0.75, 0.20])
    assert shown.attention(own=True).tolist() == pytest.approx([0.85, 1.05, 1.10])
    power = reducers.Significance(1.0, (2,), own=False, fate="drop", least=1)
    adaptive = reducers.Significance(1.0, (2,))
    assert power.keep(shown, None)[0].tolist() == [True, True, False]
    assert adaptive.keep(shown, None)[0].tolist() == [True, False, True]


def test_the_attention_of_the_first_row_is_remembered():
    """Row 3 was read at the first layer, row 1 is read now; weights are what was read."""
    reducer, shown = reducers.ClassAttention(1.0, (2,)), rows(torch.eye(4))
    read = torch.tensor([[0.1, 0.0, 0.1, 0.8], [0.4, 0.4, 0.2, 0.0]])
    state = reducer.init(4)
    for layer, by_first in enumerate(read, 1):
        seen = Rows(**{**vars(shown), "layer": layer, "by_first": by_first})
        keep, state = reducer.keep(seen, state)
        assert keep.tolist() == [True, False, False, True]
        torch.testing.assert_close(reducer.weigh(seen, state), read[:layer].sum(dim=0))
    with pytest.raises(UserError, match='reads = "first"'):
        reducer.keep(shown, state)


def test_layers_are_remembered_up_to_the_last_that_takes_rows_out():
    reducer = reducers.ClassAttention(0.5, layers=(3,))
    assert [reducer.asked(layer, 6, 9) for layer in range(1, 7)] == [True] * 3 + [False] * 3


def test_the_smallest_network_of_the_length_adaptive_transformer():
    reducer, length = reducers.Significance(0.8), torch.tensor([128])
    kept = [int(reducer.limits(layer, length)) for layer in range(1, 13)]
    assert kept[:3] == [103, 83, 67]
    assert kept[-1] == 11
    assert round(sum(kept) / (12 * 128), 3) == 0.326
    assert [int(reducer.limits(9, torch.tensor([n]))) for n in (1, 2, 3, 4, 6)] == [1, 2, 3, 4, 4]


def test_given_numbers_never_rise_and_the_last_goes_on():
    reducer = reducers.Significance(1.0, (40, 50, 12, 1), least=1)
    kept = [int(reducer.limits(layer, torch.tensor([45]))) for layer in range(1, 7)]
    assert kept == [40, 40, 12, 1, 1, 1]
    assert not reducer.asked(2, 6, 50)
    assert not reducers.Significance(0.5, layers=(3,)).asked(2, 6, 50)


def test_a_core_set_starts_at_the_first_row_and_goes_far():
    points = torch.tensor([[0.0, 0], [0, 1], [5, 0], [5, 0.1], [0, 9]])[None]
    chosen = centres(points, torch.ones(1, 5, dtype=torch.bool), torch.tensor([3]))
    # From (0, 0) the farthest is (0, 9), then (5, 0.1), a little farther than (5, 0) from the
    # first centre.
    assert chosen[0].nonzero().squeeze(-1).tolist() == [0, 3, 4]


def test_hashed_depths_are_those_of_the_vocabulary():
    """Two ids a depth, whatever their counts; the first row runs to the top."""
    table = policies.TokenBuckets({token: token // 2 for token in range(12)}, 1, 5)
    reducer = reducers.ByPolicy(table)
    shown = rows(torch.eye(12))
    computed = torch.zeros(12, dtype=torch.long)
    for layer in range(1, 7):
        keep, _ = reducer.keep(Rows(**{**vars(shown), "layer": layer, "num_layers": 6}), None)
        computed += keep
    assert computed.tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("signifcance", "Did you mean 'significance'"),
        ('{"name": "core_set", "rati": 1}', "Did you mean 'ratio'"),
        ('{"name": "core_set", "fate": "gone"}', "fate of CoreSet"),
        ('{"name": "significance", "place": "before"}', 'its place is "within"'),
        ("significance:1.5", "from 0 to 1"),
        ("significance:much", "number"),
        ('{"name": "core_set", "counts": [3, 0]}', "whole numbers from 1"),
        ('{"name": "core_set", "counts": 3}', "whole numbers from 1"),
        ('{"name": "by_policy", "policy": "entropy"}', "beforehand"),
        ("[1, 2]", "a mapping with a 'name'"),
    ],
)
def test_bad_settings_are_told(text, message):
    with pytest.raises(UserError, match=message):
        reducers.from_config(text)


def test_one_number_after_a_colon_sets_the_threshold():
    assert reducers.from_config("significance:0.5") == reducers.Significance(0.5)
    assert reducers.from_config("by_policy:4") == reducers.ByPolicy(policies.Hash(1, 4))
