"""Numbers that gates read of a row."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from tokenexit import scores
from tokenexit.context import FEATURES, TARGETS
from tokenexit.context.features import Shape
from tokenexit.context.features.base import Plain
from tokenexit.context.features.log_probabilities import FLOOR
from tokenexit.context.seen import Seen
from tokenexit.context.targets import Target
from tokenexit.testing import check_feature, check_target

SHAPE = Shape(3, history=2, projection=4, exits=(1, 2, 3), num_layers=4, width=3, reach=2)


def build(name):
    return FEATURES.get(name)(SHAPE)


def look(name, table, exits=3):
    """Numbers at each exit, nobody leaving, ``[exits, N, width]``."""
    feature, state, found = build(name), None, []
    rows = torch.arange(len(table))
    for exit in range(exits):
        signals = table.signals(exit, rows)
        numbers, state = feature.look(Seen(signals, signals.hidden[:, :1].expand(-1, 4)), state)
        found.append(numbers)
    return torch.stack(found)


@pytest.mark.parametrize("name", [name for name, _ in FEATURES.items()])
def test_a_feature_keeps_its_promises(name):
    check_feature(name)


@pytest.mark.parametrize("name", [name for name, _ in TARGETS.items()])
def test_a_target_keeps_its_promises(name):
    check_target(name)


def test_a_broken_feature_is_told_what_to_mend(monkeypatch):
    class Silent(Plain):
        """Says that it reads no logits."""

        of_logits = False

        def numbers(self, seen):
            return seen.signals.logits[:, :1]

    monkeypatch.setattr(FEATURES, "_members", {**FEATURES._members, "silent": Silent})
    with pytest.raises(AssertionError, match="of_logits is False"):
        check_feature(Silent)


def test_a_broken_target_is_told_what_to_mend(monkeypatch):
    class Whole(Target):
        """Speaks of the top as well."""

        def wrong(self, said, gold):
            return said != gold

    monkeypatch.setattr(TARGETS, "_members", {**TARGETS._members, "whole": Whole})
    with pytest.raises(AssertionError, match=r"not torch.bool of \[5, 11\]"):
        check_target(Whole)


@pytest.mark.parametrize("name", ["last_depths", "last_doubts"])
def test_of_the_steps_before(name, make_table):
    signals = make_table(2).signals(0, torch.arange(10))
    assert (build(name).look(Seen(signals), None)[0] == 0).all()  # nothing is known of them
    known = torch.rand(10, 2)
    told = replace(signals, **{name: known})
    assert torch.equal(build(name).look(Seen(told), None)[0], known)
    some = told.select(torch.tensor([7, 2]))
    assert torch.equal(build(name).look(Seen(some), None)[0], known[[7, 2]])


def test_of_this_exit(make_table):
    table = make_table(4)
    logits = table.logits[0]
    probs = logits.softmax(-1)
    torch.testing.assert_close(look("entropy", table)[0, :, 0], scores.entropy(logits))
    torch.testing.assert_close(look("margin", table)[0, :, 0], scores.margin(logits))
    torch.testing.assert_close(look("probabilities", table)[0], probs)
    assert look("log_probabilities", table).min() >= FLOOR
    assert torch.equal(look("named", table)[0].argmax(-1), logits.argmax(-1))
    entropy = scores.entropy(logits)
    torch.testing.assert_close(look("log_entropy", table)[0, :, 0], (entropy + 1e-4).log())


def test_of_exits_before(make_table):
    table = make_table(4)
    entropy = [scores.entropy(logits) for logits in table.logits]
    found = look("earlier_entropy", table)
    assert (found[0] == 1).all()
    torch.testing.assert_close(found[1, :, 0], entropy[0])
    assert (found[1, :, 1] == 1).all()
    torch.testing.assert_close(found[2], torch.stack([entropy[1], entropy[0]], dim=1))
    same = look("agreement", table)
    assert (same[0] == 0).all()
    said = table.said
    assert torch.equal(same[2, :, 0].bool(), said[1] == said[2])
    assert torch.equal(same[2, :, 1].bool(), said[0] == said[2])
    then = look("earlier_log_probability", table)[1, :, 0]
    wanted = table.logits[0].log_softmax(-1).gather(1, said[1][:, None])[:, 0]
    torch.testing.assert_close(then, wanted.clamp_min(FLOOR))


def test_of_the_place(make_table):
    table = make_table(2)
    torch.testing.assert_close(look("place", table)[0, :, 0].exp() - 1, table.position.float())
    assert torch.allclose(look("length", table)[0], torch.tensor(math.log(6.0)))
    assert (look("depth", table)[1] == 0.5).all()


def test_the_length_is_remembered_when_words_leave(make_table):
    table, feature = make_table(2), build("length")
    _, state = feature.look(Seen(table.signals(0, torch.arange(10))), None)
    few = torch.tensor([0, 7])
    numbers, _ = feature.look(Seen(table.signals(1, few)), state[few])
    assert torch.allclose(numbers, torch.tensor(math.log(6.0)))


def test_a_broken_row_agrees_with_nobody(make_table):
    table = make_table(1)
    table.logits[:, 0] = math.nan
    assert (look("agreement", table)[:, 0] == 0).all()
    assert (look("named", table)[:, 0] == 0).all()
