"""Widths as values: what they keep of a network, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from tokenexit.errors import UserError
from tokenexit.widths import Widths, from_config


def test_shares_keep_the_nearest_number_of_each_layer():
    """A quarter of 12 heads is 3."""
    made = Widths(0.25, 0.1).of([12, 4], [48, 3])
    assert made == Widths((3, 1), (5, 1))
    assert Widths().of([12], [48]) == Widths((12,), (48,))


def test_the_first_ones_are_a_number():
    assert Widths(((0, 1, 2), (0, 2)), 1) == Widths((3, (0, 2)), 1.0)


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ("0.5", Widths(0.5, 0.5)),
        (0.5, Widths(0.5, 0.5)),
        ({"heads": 0.25}, Widths(0.25)),
        ('{"heads": [2, [0, 3]], "neurons": 0.5}', Widths((2, (0, 3)), 0.5)),
        (Widths((2, (0, 3)), 0.5).to_json(), Widths((2, (0, 3)), 0.5)),
    ],
)
def test_they_are_read_from_plain_data(told: Any, wanted: Widths):
    assert from_config(told) == wanted == from_config(wanted.to_config())


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("0", "above 0 and at most 1"),
        ("1.5", "above 0 and at most 1"),
        ("nan", "above 0 and at most 1"),
        (True, "Widths are a share"),
        ("half", "Widths are a share"),
        ({"head": 0.5}, "Did you mean"),
        ({"heads": "all"}, "above 0 and at most 1"),
        ({"heads": [0, 2]}, "at least 1"),
        ({"heads": [2, []]}, "at least 1"),
        ({"neurons": [[3, 1]]}, "none twice"),
        ({"neurons": [[1.5]]}, "none twice"),
        ({"heads": []}, "0 entries, and the network 2 layers"),
        ({"heads": [1, 5]}, "Layer 2 has 4 heads"),
        ({"neurons": [1, [0, 8]]}, "Layer 2 has 8 neurons"),
    ],
)
def test_what_keeps_nothing_or_fits_no_network_is_refused(told: Any, why: str):
    with pytest.raises(UserError, match=why):
        from_config(told).of([4, 4], [8, 8])
