"""Steps: every sentence once an epoch, however they are dealt out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenexit.halting import Sentence
from tokenexit.training.batches import TrainingStep, labelled_words, steps, steps_per_epoch


def corpus(count: int) -> list[Sentence]:
    """Sentence ``i`` has one to four words, about a third of them labelled."""
    made = []
    for i in range(count):
        words = 1 + i % 4
        targets = [0 if place == 0 else -100 for place in range(words)]
        made.append(Sentence([2, *[10 + i] * words, 3], [[1 + w] for w in range(words)], targets))
    return made


def plan(sentences: list[Sentence], **changes: int) -> list[TrainingStep]:
    settings: dict[str, int] = {"batch_size": 4, "accumulation": 1, "seed": 0, "start": 0}
    return list(steps(sentences, **{**settings, "stop": 6, **changes}))  # type: ignore[arg-type]


def dealt(step: TrainingStep) -> dict[int, int]:
    """Place in the step to sentence, over the parts that weigh something."""
    found: dict[int, int] = {}
    for part in step.micro_batches:
        assert len(part.sentences) == len(part.places)
        assert part.words == sum(labelled_words(s) for s in part.sentences)
        if part.words:
            for place, sentence in zip(part.places, part.sentences, strict=True):
                assert place not in found
                found[place] = sentence.input_ids[1] - 10
    return found


@given(
    count=st.integers(1, 30),
    batch_size=st.integers(1, 12),
    accumulation=st.integers(1, 4),
    world=st.integers(1, 4),
    seed=st.integers(0, 1000),
    start=st.integers(0, 9),
    bucket=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_dealing_is_exact(count, batch_size, accumulation, world, seed, start, bucket):
    sentences = corpus(count)
    common = {"batch_size": batch_size, "seed": seed, "stop": 12, "bucket": bucket}
    whole = plan(sentences, **common)
    assert [step.number for step in whole] == list(range(12))
    per_epoch = steps_per_epoch(count, batch_size)
    ranks = [
        plan(sentences, **common, accumulation=accumulation, rank=r, world=world, start=start)
        for r in range(world)
    ]
    for number in range(start, 12):
        union: dict[int, int] = {}
        for rank in ranks:
            step = rank[number - start]
            assert (step.number, step.epoch) == (number, number // per_epoch)
            assert len(step.micro_batches) == accumulation
            assert step.words == whole[number].words == whole[number].micro_batches[0].words
            part = dealt(step)
            assert not part.keys() & union.keys()
            union |= part
        assert union == dealt(whole[number])
        sizes = [len(dealt(rank[number - start])) for rank in ranks]
        assert max(sizes) - min(sizes) <= accumulation


@pytest.mark.parametrize("bucket", [False, True])
def test_every_sentence_once_an_epoch_in_a_new_order(bucket):
    sentences = corpus(10)
    plain = plan(sentences, stop=9, bucket=bucket)
    epochs = [
        [i for step in plain if step.epoch == e for i in dealt(step).values()] for e in range(3)
    ]
    for order in epochs:
        assert sorted(order) == list(range(10))
    assert len({tuple(order) for order in epochs}) == 3
    assert epochs != [
        [i for s in plan(sentences, stop=9, seed=1, bucket=bucket) if s.epoch == e
         for i in dealt(s).values()]
        for e in range(3)
    ]  # fmt: skip


def test_bucketed_steps_are_of_like_length_and_in_random_order():
    sentences = corpus(48)
    bucketed = plan(sentences, stop=12, bucket=True)
    lengths = [{s.length for s in step.micro_batches[0].sentences} for step in bucketed]
    assert all(len(one) == 1 for one in lengths)  # twelve of each length, by four
    order = [min(one) for one in lengths]
    assert order != sorted(order)
    mixed = plan(sentences, stop=12)
    assert any(len({s.length for s in step.micro_batches[0].sentences}) > 2 for step in mixed)


@pytest.mark.parametrize("bucket", [False, True])
@pytest.mark.parametrize("start", range(7))
def test_starting_late_gives_the_same_steps(start, bucket):
    sentences = corpus(10)
    whole = plan(sentences, stop=7, bucket=bucket)
    assert plan(sentences, start=start, stop=7, bucket=bucket) == whole[start:]


def test_a_process_without_a_sentence_borrows_one_without_weight():
    sentences = corpus(5)
    last = [plan(sentences, rank=rank, world=3, accumulation=2)[1] for rank in range(3)]
    assert [len(dealt(step)) for step in last] == [1, 0, 0]
    (owner,) = dealt(last[0]).values()
    for step in last:
        assert step.words == labelled_words(sentences[owner])
        for part in step.micro_batches:
            assert len(part.sentences) == 1
            assert part.places == [0]
            assert part.sentences[0].input_ids == sentences[owner].input_ids
    idle = [part for step in last for part in step.micro_batches if not part.words]
    assert len(idle) == 5
    assert all(set(part.sentences[0].targets or ()) == {-100} for part in idle)


def test_steps_per_epoch():
    assert [steps_per_epoch(n, 4) for n in (1, 4, 5, 8, 9)] == [1, 1, 2, 2, 3]


def test_labelled_words():
    assert labelled_words(Sentence([1, 2], [[0], [1]], [3, -100])) == 1
    assert labelled_words(Sentence([1, 2], [[0], [1]])) == 0
