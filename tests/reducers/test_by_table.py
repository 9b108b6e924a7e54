"""Depths by a ranking of training tokens, by hand."""

from __future__ import annotations

import pytest
import torch

from tokenexit.errors import UserError
from tokenexit.reducers import ByPolicy, ByTable, Rows, from_config

# Token 3 says nothing of the label; 8 and 5 say all they can, 5 being first by its id.
COUNTS = {3: {"a": 4, "b": 4}, 8: {"a": 0, "b": 4}, 5: {"a": 4}}


def rows(tokens, layer, num_layers=6):
    number = torch.arange(len(tokens))
    return Rows(
        layer=layer,
        num_layers=num_layers,
        text=torch.zeros_like(number),
        lengths=torch.tensor([len(tokens)]),
        position=number,
        item_id=torch.tensor(tokens),
        pinned=number == 0,
        hidden=torch.zeros(len(tokens), 4),
    )


def depths(reducer, tokens):
    found = [1] * len(tokens)
    for layer in range(2, 7):
        for place, stays in enumerate(reducer.keep(rows(tokens, layer), None)[0].tolist()):
            found[place] += stays
    return found


@pytest.mark.parametrize(
    ("settings", "table"),
    [
        ({"depths": 2}, {5: 0, 8: 0, 3: 1}),  # half the text each
        ({"depths": 3, "share": "vocabulary"}, {5: 0, 8: 1, 3: 2}),
        ({"depths": 2, "share": "vocabulary"}, {5: 0, 8: 1, 3: 1}),  # the last takes the rest
        ({"depths": 2, "reverse": True}, {3: 0, 5: 1, 8: 1}),
        ({"depths": 2, "by": "frequency"}, {3: 0, 5: 1, 8: 1}),
        ({"depths": 9, "share": "vocabulary", "by": "frequency"}, {3: 0, 5: 1, 8: 2}),
    ],
)
def test_a_ranking_is_cut_into_equal_parts(settings, table):
    filled = ByTable(**settings).counted(COUNTS)
    assert dict(filled.table) == table
    assert from_config(filled.to_json()) == filled
    assert filled.counted({1: {"a": 1}}) == filled  # it has its table


def test_the_first_part_stops_first_and_strangers_run_to_the_top():
    filled = ByTable(depths=3, share="vocabulary", first=2).counted(COUNTS)
    assert depths(filled, [5, 5, 8, 3, 77]) == [2, 2, 3, 4, 6]
    assert depths(filled.with_threshold(1), [5, 8, 3, 77]) == [1, 2, 3, 6]
    assert depths(ByTable(), [5, 8]) == [6, 6]
    assert not ByTable().asked(3, 6, 9)
    assert (filled.asked(2, 6, 9), filled.asked(3, 6, 9)) == (False, True)


def test_special_tokens_run_to_the_top():
    told = ByPolicy({"name": "assigned_depth", "depth": 2}, whole="special")
    assert depths(told.with_special({9, 4}), [5, 9, 4, 6]) == [2, 6, 6, 2]
    assert ByPolicy("hash").with_special({9}) == ByPolicy("hash")
    with pytest.raises(UserError, match="has to be told the tokens"):
        told.keep(rows([5, 9], 3), None)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"by": "informatoin"}, "Did you mean 'information'"),
        ({"share": "all"}, "share of ByTable"),
        ({"depths": 0}, r"ByTable\.depths"),
        ({"table": {3: -1}}, "parts from 0"),
    ],
)
def test_bad_settings(settings, told):
    with pytest.raises(UserError, match=told):
        ByTable(**settings)
    with pytest.raises(UserError, match="there are none"):
        ByTable().counted({})
    with pytest.raises(UserError, match="whole must be"):
        ByPolicy(whole="specials")
