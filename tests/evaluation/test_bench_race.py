"""Who is asked what, and in which order; never how fast."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from tokenexit.evaluation.bench.contender import Contender, Missing
from tokenexit.evaluation.bench.race import Timed, race

TURN = 16
TEXTS = ["x" * (1 + number * 7 % 11) for number in range(40)]


class Recorder(Contender):
    precision = "fp32"

    def __init__(self, name, log):
        self.name, self.log = name, log

    def run(self, batch):
        self.log.append((self.name, list(batch)))
        return len(batch)

    def answers(self, batch, output):
        return {}


class Sorted(Recorder):
    by_length = True


class Whole(Recorder):
    own_batches = True


class Failing(Recorder):
    foreign = True

    def run(self, batch):
        raise MemoryError("no room\nat all")


def timed(*contenders, batch_size=4, repeats=2):
    options = {"batch_size": batch_size, "repeats": repeats, "turn": TURN}
    return race(contenders, TEXTS, len, **options, device=torch.device("cpu"))


def test_everybody_computes_every_text_in_every_pass():
    log = []
    found = timed(Recorder("a", log), Sorted("b", log), Recorder("c", log))
    assert [len(one.seconds) for one in found] == [2, 2, 2]
    for name in "abc":
        told = [text for who, batch in log for text in batch if who == name]
        assert sorted(told) == sorted(TEXTS * 3)
    assert [text for who, batch in log for text in batch if who == "a"] == TEXTS * 3
    lengths = [len(text) for who, batch in log for text in batch if who == "b"][: len(TEXTS)]
    assert lengths == sorted(lengths, reverse=True)
    assert {len(batch) for _, batch in log} == {4}
    assert [size for _, size in found[0].outputs] == [4] * 10  # of the first pass alone


def test_turns_are_short_and_each_is_first_and_last_in_some():
    log = []
    timed(*(Recorder(name, log) for name in "abc"), batch_size=1, repeats=3)
    turns = [log[0][0]]
    for (before, _), (name, _) in pairwise(log):
        if name != before:
            turns.append(name)
    assert len(turns) > len(log) // TURN / 2
    rounds = [log[start : start + 3 * TURN] for start in (0, 3 * TURN)]
    assert all({who for who, _ in one} == set("abc") for one in rounds)
    assert rounds[0][0][0] != rounds[1][0][0]


def test_what_makes_its_own_batches_gets_all_texts_at_once():
    log = []
    timed(Recorder("plain", log), Whole("ours", log), repeats=1)
    assert [len(batch) for who, batch in log if who == "ours"] == [40, 40]
    assert {len(batch) for who, batch in log if who == "plain"} == {4}
    names = [who for who, _ in log]
    assert names.index("ours") in (0, 10)  # nobody comes between the batches of the other


def test_a_foreign_failure_is_told_and_the_others_go_on():
    log = []
    missing = Missing("gone", "int8", "not there")
    found = timed(Recorder("a", log), Failing("b", log), missing)
    assert found[2] is missing
    assert isinstance(found[1], Timed)
    assert (found[1].reason, found[1].seconds) == ("MemoryError: no room", [])
    assert len(found[0].seconds) == 2


def test_our_own_failure_is_an_error():
    failing = Failing("a", [])
    failing.foreign = False
    with pytest.raises(MemoryError):
        timed(failing)
