"""What texts served for in the trainings that made a model is known afterwards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tokenexit.calibration import CalibrateConfig
from tokenexit.data.tagged import TaggedSplit
from tokenexit.workflows.config import TaggingConfig
from tokenexit.workflows.record import training_record
from tokenexit.workflows.selection import Selection, selection
from tokenexit.workflows.served_texts import (
    COUNT,
    EARLIER,
    EPOCH,
    FITTING,
    FITTING_GATE,
    LISTED,
    LOOKS,
    POLICY,
    RECORD,
    REDUCER,
    TRAINING,
    chosen_before,
    not_known,
    noted,
    served_before,
)

pytestmark = pytest.mark.slow

RISK = CalibrateConfig(risk=0.05, delta=0.1)


def split(count: int) -> TaggedSplit:
    return words("", count)


def words(name: str, count: int) -> TaggedSplit:
    return TaggedSplit([[name, str(n)] for n in range(count)], [["O", "O"]] * count, "here")


def join(one: TaggedSplit, other: TaggedSplit) -> TaggedSplit:
    return TaggedSplit([*one.tokens, *other.tokens], [*(one.tags or []), *(other.tags or [])], "x")


def used_before(training: Any, *where: Any) -> list[str]:
    return served_before(training, *where).used


def test_texts_that_chose_among_one_model_chose_nothing():
    told = {"data": "corpora/news", RECORD: [EPOCH], COUNT: 100, LOOKS: 1}
    assert used_before(told, "runs/ner", "corpora/news", "validation") == []
    assert used_before({**told, LOOKS: 2}, "runs/ner", "corpora/news", "validation") == [EPOCH]
    assert used_before({**told, COUNT: 0}, "runs/ner", "corpora/news", "validation") == [EPOCH]


def test_a_run_says_what_its_data_served_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    made = {"data": "corpora/news", RECORD: [EPOCH, FITTING]}

    def used(data: str, name: str = "validation", training=made) -> list[str]:
        return used_before(training, "runs/ner", data, name)

    assert used("corpora/news") == used(str(tmp_path / "corpora/news")) == [EPOCH, FITTING]
    assert used("corpora/news", "train") == [TRAINING]
    assert used("corpora/news", "test") == used("corpora/other") == []
    assert used("corpora/news", training={"data": "corpora/news"}) == [EPOCH]  # of before
    assert used("runs/ner/data", training={**made, "data": "generated"}) == [EPOCH, FITTING]
    assert used("corpora/news", training=None) == used("x", training={"data": {"a": 1}}) == []


def test_texts_are_known_by_what_they_say():
    """Wherever they lie, in whatever order, whole or in part."""
    held = selection(split(400), CalibrateConfig(), [EPOCH], words("train", 300))
    told = {"data": "corpora/news", **training_record(TaggingConfig(output_dir="run"), held)}
    told = {**told, "data": "corpora/news", LOOKS: 6}

    def used(texts: TaggedSplit) -> list[str]:
        return used_before(told, "runs/ner", "elsewhere", "all", texts)

    whole = split(400)
    bare = replace(whole, tags=None)  # read without answers
    for texts in (whole, bare, whole.take(range(399, -1, -1)), whole.take(range(1, 400)),
                  whole.take(range(40)), split(2000)):  # fmt: skip
        assert used(texts) == [EPOCH]
    assert served_before(told, "runs/ner", "elsewhere", "all", whole).looks == 6
    assert used(words("train", 300)) == [TRAINING]
    assert used(words("other", 300)) == []
    # Short texts come again by themselves.
    assert used(join(words("other", 300), split(9))) == []
    assert used(join(words("other", 300), split(100))) == [EPOCH]
    # The name of a split says nothing where its texts are known.
    assert used_before(told, "runs/ner", "corpora/news", "validation", words("x", 9)) == []
    assert not_known(told, "runs/ner", "elsewhere") == []


def test_half_of_a_split_that_chose_is_that_half():
    held = selection(split(100), RISK, [EPOCH])
    record = TaggingConfig(output_dir="run")

    def used(held, texts: TaggedSplit) -> list[str]:
        return used_before(training_record(record, held), "run", "data", "test", texts)

    two = held.after(50, looks=2)
    assert used(two, held.choosing) == used(two, split(100)) == [EPOCH]
    assert used(two, held.calibrating) == []
    assert used(held.after(100, looks=2), held.calibrating) == [EPOCH]  # a run that was resumed


def test_what_nobody_can_tell_is_said():
    older = {"data": "corpora/news", RECORD: [EPOCH]}
    assert not_known(older, "runs/ner", "corpora/news") == []
    assert not_known(older, "runs/ner", "elsewhere") == [TRAINING, EPOCH]
    assert not_known({**older, RECORD: []}, "runs/ner", "elsewhere") == [TRAINING]
    assert not_known(None, "runs/ner", "x") == not_known(noted(None, {}), "m", "x") == [TRAINING]
    texts = split(20)
    assert chosen_before(None, texts) == chosen_before({"certificate": {}}, texts) == ([], [])
    assert chosen_before({"policy": {}}, texts) == ([], [POLICY])
    told = noted({"policy": {}}, {POLICY: [texts], LISTED: [words("list", 9), None]})
    assert chosen_before(told, texts) == ([POLICY], [])
    assert chosen_before(told, words("list", 9)) == ([LISTED], [])
    assert chosen_before(noted(told, {POLICY: [split(0)]}), texts) == ([], [])


def test_gates_and_reducers_that_texts_chose_are_told():
    texts = split(20)
    told = noted({"data": "corpora/news", RECORD: []}, {FITTING_GATE: [texts], REDUCER: [texts]})
    assert used_before(told, "runs/ner", "x", "test", texts) == [FITTING_GATE, REDUCER]
    told = noted(told, {REDUCER: []})
    assert used_before(told, "runs/ner", "x", "test", texts) == [FITTING_GATE]


def test_a_model_says_among_how_many_its_texts_chose():
    def looks(**training: Any) -> int:
        told = {"data": "corpora/news", COUNT: 100, **training}
        return served_before(told, "runs/ner", "corpora/news", "validation").looks

    assert looks(**{RECORD: [EPOCH], LOOKS: 4}) == 4
    assert looks(**{RECORD: [], LOOKS: 4}) == looks(**{RECORD: [FITTING], LOOKS: 4}) == 1
    assert looks(**{RECORD: [EPOCH]}) == looks() == 1  # of before


def record_of_run(held: Selection[Any]) -> dict[str, Any]:
    return training_record(TaggingConfig(output_dir="run", data="corpora/news"), held)


def test_texts_of_the_run_that_another_went_on_from_are_not_forgotten():
    """The same validation texts chose one of 3 epochs, and then one of 2 of each of those."""
    config, texts = CalibrateConfig(), split(100)
    first = selection(texts, config, [EPOCH], words("train", 300)).after(100, looks=3)
    second = selection(texts, config, [EPOCH], words("other", 300))
    second = second.going_on(record_of_run(first)).after(100, looks=2)
    assert second.shared_by == 6
    told = record_of_run(second)
    assert (told[LOOKS], [one[LOOKS] for one in told[EARLIER]]) == (2, [3])
    assert served_before(told, "runs/b", "x", "validation", texts) == ([EPOCH], 6)
    # A third has one epoch, so nothing to choose among, but its texts chose before.
    third = selection(texts, config, [], words("third", 300))
    third = third.going_on(told).after(100, looks=1)
    assert (third.spent_on, third.shared_by) == ([EPOCH], 6)
    last = record_of_run(third)
    assert len(last[EARLIER]) == 2
    assert served_before(last, "runs/c", "x", "validation", texts) == ([EPOCH], 6)
    assert used_before(last, "runs/c", "x", "test", words("train", 300)) == [TRAINING]
    assert used_before(last, "runs/c", "x", "test", words("train", 300).take(range(150))) == [
        TRAINING
    ]
    assert used_before(last, "runs/c", "x", "test", words("new", 300)) == []


def test_other_texts_of_an_earlier_run_cost_nothing():
    config, texts = CalibrateConfig(), split(100)
    first = selection(words("held out", 80), config, [EPOCH], words("train", 300)).after(80, 3)
    held = selection(texts, config, [EPOCH], words("other", 300))
    held = held.going_on(record_of_run(first)).after(100, looks=2)
    assert (held.used_for, held.shared_by) == ([EPOCH], 2)
    told = record_of_run(held)
    assert served_before(told, "runs/b", "x", "validation", texts) == ([EPOCH], 2)
    assert served_before(told, "runs/b", "x", "other", words("held out", 80)) == ([EPOCH], 3)
    assert held.going_on(None).earlier_looks == 1


def test_validation_texts_that_an_earlier_run_was_trained_on_are_told():
    first = selection(words("dev", 90), CalibrateConfig(), [], words("train", 300)).after(90)
    held = selection(words("train", 300).take(range(60)), CalibrateConfig(), [], words("more", 9))
    held = held.going_on(record_of_run(first)).after(60)
    assert held.spent_on == [TRAINING]
    # One short text comes again by itself.
    again = join(words("new", 59), words("train", 300).take(range(1)))
    held = selection(again, CalibrateConfig(), [], words("more", 9))
    assert held.going_on(record_of_run(first)).used_for == []
