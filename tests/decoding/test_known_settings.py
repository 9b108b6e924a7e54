"""Settings that were checked are not checked again, unless anything differs."""

from __future__ import annotations

import pytest
import torch
from transformers import T5Config

from tokenexit.decoding.known_settings import Known


def test_equal_settings_are_read_once():
    known, seen = Known(), []

    def make() -> int:
        seen.append(1)
        return len(seen)

    assert known.get(make, {"top_p": 0.5, "eos_token_id": [1, 2]}, {}) == 1
    assert known.get(make, {"top_p": 0.5, "eos_token_id": [1, 2]}, {}) == 1
    assert known.get(make, {"top_p": 0.6, "eos_token_id": [1, 2]}, {}) == 2
    assert known.get(make, {"top_p": 0.6, "eos_token_id": [1, 2]}, {"a": None}) == 3


def test_a_configuration_of_transformers_is_plain_data():
    known, config = Known(), T5Config(dtype=torch.float32)
    assert known.get(lambda: "first", vars(config)) == "first"
    assert known.get(lambda: "second", vars(config)) == "first"
    config.num_heads = 3
    assert known.get(lambda: "third", vars(config)) == "third"


def test_what_is_changed_in_place_is_read_again():
    known, ends = Known(), [1]
    assert known.get(lambda: "first", {"ends": ends}) == "first"
    ends.append(2)
    assert known.get(lambda: "second", {"ends": ends}) == "second"


def test_true_is_not_one():
    known = Known()
    assert known.get(lambda: "number", {"num_beams": 1}) == "number"
    assert known.get(lambda: "truth", {"num_beams": True}) == "truth"


@pytest.mark.parametrize("value", [torch.ones(3), object(), [torch.ones(2)], {"a": object()}])
def test_objects_are_not_remembered(value):
    known = Known()
    assert known.get(lambda: "first", {"value": value}) == "first"
    assert known.get(lambda: "second", {"value": value}) == "second"


def test_an_error_is_raised_again():
    known = Known()

    def refuse() -> None:
        raise ValueError("no")

    assert known.get(lambda: 1, {"a": 1}) == 1
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            known.get(refuse, {"a": 2})
    assert known.get(lambda: 3, {"a": 1}) == 1
