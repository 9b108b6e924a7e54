"""In which precision a result was measured, and what it is held to."""

from __future__ import annotations

from tokenexit.wording.held_to import full_depth, held_to_sentence, within

PLAIN = {"precision": "fp32", "full_depth_precision": "fp32"}
REDUCED = {"precision": "int8", "full_depth_precision": "fp32"}


def test_one_precision_is_not_worth_a_word():
    for row in (PLAIN, {"precision": "int8", "full_depth_precision": "int8"}, {}):
        assert (within(row), full_depth(row)) == ("", "full depth")
        assert held_to_sentence([row]) == ""


def test_an_older_result_compared_within_one_precision():
    assert full_depth({"precision": "int8"}) == "full depth"


def test_two_are_named():
    assert (within(REDUCED), full_depth(REDUCED)) == (" in int8", "full depth in fp32")
    told = held_to_sentence([PLAIN, REDUCED, REDUCED])
    assert told == "Quality was measured in int8 against full depth in fp32."
