"""What is counted of a run from its exits is what the engine did."""

from __future__ import annotations

import numpy as np
import pytest

from tokenexit.calibration.clock.choices import asked_less
from tokenexit.calibration.clock.counts import asked_at, joined, kind_of, resolved
from tokenexit.calibration.clock.encoders import TimedEncoder
from tokenexit.calibration.clock.generators import TimedGenerator
from tokenexit.policies import (
    AssignedDepth,
    Decay,
    Entropy,
    EveryKth,
    FromLayer,
    LearnedGate,
    Margin,
    Never,
    Saturation,
    Window,
)

LAYERS = (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("policy", "asked"),
    [
        (Never(), ()),
        (AssignedDepth(2), ()),
        (Margin(), (1, 2, 3)),
        (EveryKth(Margin(), 2), (2,)),
        (FromLayer(Margin(), 2), (2, 3)),
        (FromLayer(EveryKth(Margin(), 3), 2), (3,)),
        (EveryKth(AssignedDepth(2), 2), ()),
    ],
    ids=repr,
)
def test_where_a_policy_is_asked(policy, asked):
    assert asked_at(policy, LAYERS[:-1]) == asked


def test_a_question_is_the_same_whatever_its_threshold_and_place():
    kinds = {kind_of(EveryKth(Window(Entropy(t), 3), k)) for t in (0.1, 0.7) for k in (1, 2)}
    assert kinds == {kind_of(Window(Entropy(0.3), 3))} == {"window(entropy, 3)"}
    assert kind_of(Window(Entropy(), 5)) not in kinds
    assert kind_of(Never()) is kind_of(FromLayer(AssignedDepth(2), 1)) is None


def test_fewer_exits_are_tried_each_once_and_never_none():
    less = asked_less(Margin(), (1, 2, 3, 4, 5, 6))
    asked = [asked_at(policy, (1, 2, 3, 4, 5)) for policy in less]
    assert asked == [(2, 4), (3,), (2, 3, 4, 5), (3, 4, 5)]
    assert asked_less(Margin(), (1, 2)) == []
    assert all(policy.threshold_spec() == Margin().threshold_spec() for policy in less)
    kept = [asked_at(p, (1, 2, 3, 4, 5)) for p in asked_less(EveryKth(Margin(), 2), range(1, 7))]
    assert kept == [(4,)]


def test_heads_score_those_that_leave_unless_they_have_scored_them():
    rows = {"head": np.array([1.0]), "ask a": np.array([9.0]), "left a": np.array([2.0, 3.0])}
    assert list(resolved(rows, ["a"])) == ["head", "ask a"]
    assert resolved(rows, ["a"])["head"].tolist() == [1]
    assert resolved(rows, [])["head"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("batch_size", [1, 3, 40])
@pytest.mark.parametrize(
    "policy",
    [Never(), AssignedDepth(2), Entropy(0.6), EveryKth(Margin(0.4), 2), Window(Entropy(0.5), 3)],
    ids=repr,
)
def test_a_tagger(policy, batch_size, tagger, tagged):
    timed = TimedEncoder(tagger, tagged.tokens, batch_size)
    batches = timed.batches()
    whole = timed.run(batches, policy)
    done = [timed.run([batch], policy) for batch in batches]
    exits, work = timed.exits(whole), whole.work
    assert exits.tolist() == [layer for one in done for layer in timed.exits(one)]
    found = timed.counts(batches, policy, exits)
    assert len(found["layer"]) == sum(layer.calls for layer in work)
    assert found["batch"].sum() == sum(map(timed.tokens, batches))
    heads = resolved(found, [kind_of(policy)])
    scored = sum(len_.sum() for name, len_ in heads.items() if name == "head" or "ask" in name)
    assert scored == sum(layer.head for layer in work)
    assert sum(map(timed.texts, batches)) == len(tagged)
    parts = [timed.counts([b], policy, timed.exits(d)) for b, d in zip(batches, done, strict=True)]
    assert {k: sorted(v) for k, v in joined(parts).items()} == {
        k: sorted(v) for k, v in found.items()
    }
    timed._share = 1.0  # as if keys and values were all that is computed
    attended = timed.counts(batches, policy, exits)["layer"].sum()
    absorbed = sum(layer.absorbed for layer in work)
    projected = sum(layer.projected for layer in work)
    assert attended == projected if not absorbed else attended > projected


def test_probes_of_a_tagger_are_of_all_sizes_and_lengths(tagger, tagged):
    timed = TimedEncoder(tagger, tagged.tokens, 6)
    probes = timed.probes()
    assert [len(batch[0]) for batch in probes] == [1, 1, 6, 6, 1, 1, 1, 2, 4, 6]
    assert all(sum(map(timed.texts, batches)) >= 16 for batches in probes)
    short, medium, long = ({timed.tokens(batch) for batch in probes[n]} for n in (4, 5, 6))
    assert max(short) <= min(medium) <= max(medium) <= min(long) < max(long)
    done = timed.run(probes[2], Never())
    assert len(done) == sum(min(1, len(p.sentence.word_rows)) for b in probes[2] for p in b)


def test_rows_of_a_tagger_are_those_of_its_words(tagger):
    """Of words that are one sub-word each, exactly."""
    timed = TimedEncoder(tagger, [["ada", "was", "born"], ["in", "london"]] * 4, 8)
    policy = Entropy(0.6)
    done = timed.run(timed.batches(), policy)
    assert 1 < done.mean_exit_layer < 4
    timed._share = 0.0
    rows = timed.counts(timed.batches(), policy, timed.exits(done))["layer"]
    assert rows.tolist() == [layer.active for layer in done.work if layer.calls]


@pytest.mark.parametrize(
    "policy",
    [Never(), AssignedDepth(2), Margin(0.2), EveryKth(Decay(Margin(0.3)), 2), LearnedGate(0.5),
     Saturation(0.7)],
    ids=repr,
)  # fmt: skip
def test_a_generator(policy, writer, pairs):
    timed = TimedGenerator(writer, pairs.sources, 5)
    batches = timed.batches()
    done = timed.run(batches, policy)
    exits = timed.exits(done)
    work = sum((one.work for one in done[1:]), done[0].work)
    found = timed.counts(batches, policy, exits)
    assert len(found["layer"]) == work.of("calls").sum()
    assert found["step"].sum() == sum(map(len, exits))
    scoring = [kind_of(policy)] if timed.scores(done) else []
    heads = resolved(found, scoring)
    scored = [rows for name, rows in heads.items() if name == "head" or name[4:] in scoring]
    vocabulary = writer.decoder.vocab_size
    assert sum(rows.sum() for rows in scored) == work.of("head").sum() / vocabulary
    assert sum(map(len, scored)) == work.of("head_read").sum() / vocabulary
    for share, name in ((0.0, "rows"), (1.0, "projected")):
        timed._share = share
        assert timed.counts(batches, policy, exits)["layer"].sum() == work.of(name).sum()
