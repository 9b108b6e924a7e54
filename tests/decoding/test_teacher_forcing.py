"""Teacher forcing with exits: the transformers model's logits, and the engine's exits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.testing import assert_close

from tokenexit import policies
from tokenexit.decoding.teacher_forcing import Pair, PairBatch, teacher_forcing
from tokenexit.errors import UserError
from tokenexit.halting import PolicyVisitor
from tokenexit.signals import Signals

CLOSE: dict[str, Any] = {"atol": 1e-6, "rtol": 1e-6}
LENGTHS = (8, 3, 1, 6)


class Watcher:
    """A pupil that notes who arrives where, and halts nobody."""

    def __init__(self) -> None:
        self.seen: list[tuple[Signals, torch.Tensor]] = []
        self.left: list[int] = []

    def arrive(self, signals: Signals, words: torch.Tensor) -> None:
        self.seen.append((signals, words))

    def leave(self, halted: torch.Tensor, staying: torch.Tensor) -> None:
        self.left.append(len(halted))
        assert not len(staying)


@pytest.fixture(scope="module")
def pairs(sources: Any) -> list[Pair]:
    """Four pairs of unlike length; some targets are not learned."""
    made = []
    for row, length in enumerate(LENGTHS):
        ids = sources.alone(row).input_ids[0].tolist()
        targets = torch.arange(20, 20 + length) + row
        targets = torch.where(targets % 5 == 0, -100, targets).tolist()
        made.append(Pair(ids, targets, sources.tokens[row, :length].tolist()))
    return made


@pytest.fixture(scope="module")
def batch(pairs: list[Pair]) -> PairBatch:
    """All of them."""
    return PairBatch.of(pairs, 1, "cpu")


def run(model: Any, batch: PairBatch, pupil: Any, **options: Any) -> list[torch.Tensor]:
    with torch.no_grad():
        return teacher_forcing(model.decoder, model.exits(model.decoder), batch, pupil, **options)


def test_pairs_are_padded_to_one_shape(pairs, batch):
    assert batch.input_ids.shape == batch.attention_mask.shape == (4, 9)
    assert batch.reading.shape == batch.targets.shape == batch.real.shape == (4, 8)
    assert batch.attention_mask.sum(dim=1).tolist() == [9, 4, 7, 2]
    assert batch.real.sum(dim=1).tolist() == [*LENGTHS]
    assert (batch.targets[~batch.real] == -100).all()
    assert (batch.reading[~batch.real] == 1).all()
    blank = pairs[0].unlabelled()
    assert blank.targets == [-100] * 8
    assert (blank.input_ids, blank.reading) == (pairs[0].input_ids, pairs[0].reading)
    assert sorted(pairs, key=lambda pair: pair.length)[0] is pairs[2]


def test_full_depth_equals_the_model_with_labels(model, batch):
    watcher = Watcher()
    run(model, batch, watcher)
    with torch.no_grad():
        expected = model.network(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            decoder_input_ids=batch.reading,
            labels=batch.targets,
            output_hidden_states=True,
        )
    signals, _ = watcher.seen[-1]
    assert_close(signals.logits, expected.logits[batch.real], **CLOSE)
    assert signals.target is not None
    loss = torch.nn.functional.cross_entropy(signals.logits, signals.target)
    assert_close(loss, expected.loss, **CLOSE)
    for layer in (1, 2, 3):
        seen = watcher.seen[layer - 1][0].hidden
        assert_close(seen, expected.decoder_hidden_states[layer][batch.real], **CLOSE)


@pytest.mark.parametrize("family", ["bart", "t5"])
def test_reading_the_shifted_labels_is_what_the_model_does(build, batch, family):
    model, watcher = build(family), Watcher()
    labels = batch.targets.where(batch.real, -100).clamp_min(7).where(batch.real, -100)
    network = model.network
    if family == "t5":
        shifted = network._shift_right(labels)
    else:
        shifted = network.prepare_decoder_input_ids_from_labels(labels)
    whole = PairBatch(batch.input_ids, batch.attention_mask, shifted, labels, batch.real)
    run(model, whole, watcher)
    with torch.no_grad():
        expected = network(
            input_ids=batch.input_ids, attention_mask=batch.attention_mask, labels=labels
        )
    assert_close(watcher.seen[-1][0].logits, expected.logits[batch.real], **CLOSE)


@pytest.mark.parametrize(
    "name",
    "never hash margin saturation gate depth patience two_stage decay shortlist".split(),
)
def test_a_pupil_that_halts_equals_the_engine(some_model, sources, batch, name, choose, feed):
    check_engine(some_model, sources, batch, choose(some_model, name), feed)


def test_a_pupil_asks_a_gate_of_states(some_model, sources, batch, looking_at, choose, feed):
    looking_at(some_model, ("state", "change", "likeness", "place", "depth"))
    check_engine(some_model, sources, batch, choose(some_model, "context"), feed)


def test_a_gate_of_the_last_tokens_is_not_asked_while_they_are_taught(some_model, batch, choose):
    pupil = PolicyVisitor(choose(some_model, "context"), int(batch.real.sum()), "cpu")
    with pytest.raises(UserError, match="without last_depths and last_doubts"):
        run(some_model, batch, pupil)


def test_a_pupil_that_halts_equals_the_engine_in_all_families(model, sources, batch, choose, feed):
    check_engine(model, sources, batch, choose(model, "margin"), feed)


def check_engine(model: Any, sources: Any, batch: PairBatch, policy: Any, feed: Any) -> None:
    pupil = PolicyVisitor(policy, int(batch.real.sum()), "cpu")
    run(model, batch, pupil)
    decided = pupil.decisions()
    logits, layers = feed(model, sources, policy)
    assert torch.equal(decided.exit_layers, layers[batch.real])
    assert_close(decided.logits, logits[batch.real], **CLOSE)
    assert len(layers[batch.real].unique()) >= (1 if policy == policies.Never() else 2)


def test_who_has_halted_stays_as_it_is(some_model, batch, choose):
    pupil = PolicyVisitor(choose(some_model, "margin"), int(batch.real.sum()), "cpu")
    states = run(some_model, batch, pupil)
    layers = torch.full_like(batch.targets, 4)
    layers[batch.real] = pupil.decisions().exit_layers
    layers = layers.flatten()
    for layer in (1, 2, 3):
        same = (states[layer] == states[layer - 1]).all(dim=-1)
        assert torch.equal(same, layers <= layer)


def test_signals_say_where_a_word_stands(build, batch):
    watcher = Watcher()
    run(build("t5"), batch, watcher)
    row, place = batch.real.nonzero(as_tuple=True)
    assert [signals.layer for signals, _ in watcher.seen] == [1, 2, 3, 4]
    for signals, words in watcher.seen:
        assert torch.equal(words, torch.arange(sum(LENGTHS)))
        assert torch.equal(signals.sequence, row)
        assert torch.equal(signals.position, place)
        assert torch.equal(signals.step, place)
        assert torch.equal(signals.item_id, batch.reading[batch.real])
        assert torch.equal(signals.target, batch.targets[batch.real])
        assert (signals.num_sequences, signals.extent, signals.num_steps) == (4, 8, 8)
    assert watcher.left == [sum(LENGTHS)]
    first, second = watcher.seen[0][0], watcher.seen[1][0]
    assert first.previous_hidden is None
    assert second.previous_hidden is not None
    assert second.previous_hidden.equal(first.hidden)


def test_a_pair_may_leave_out_a_layer(build, batch):
    model = build("bart")
    out = torch.tensor([True, False, False, True])
    states = run(model, batch, Watcher(), skip=lambda layer: out if layer == 2 else None)
    plain = run(model, batch, Watcher())
    cells = out.repeat_interleave(8)
    assert states[1][cells].equal(states[0][cells])
    assert_close(states[1][~cells], plain[1][~cells])
    assert_close(states[3][~cells], plain[3][~cells])
    assert not torch.isclose(states[3][cells], plain[3][cells]).all(dim=-1).any()


def test_states_may_fork_below_the_top(build, batch):
    model, watcher, forked = build("t5"), Watcher(), []

    def fork(layer: int, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        forked.append(layer)
        return hidden * 2, hidden

    plain, doubled = Watcher(), watcher
    expected = run(model, batch, plain)
    states = run(model, batch, doubled, fork=fork)
    assert forked == [1, 2, 3]
    assert_close(states[-1], expected[-1])
    for layer in (1, 2, 3):
        shown = doubled.seen[layer - 1][0].hidden
        assert_close(shown, 2 * plain.seen[layer - 1][0].hidden)


def test_encoder_states_may_be_given(build, batch):
    model = build("pegasus")
    expected = run(model, batch, Watcher())
    with torch.no_grad():
        memory = model.decoder.encode(batch.input_ids, batch.attention_mask)
    assert_close(run(model, batch, Watcher(), memory=memory), expected)
    other = run(model, batch, Watcher(), memory=memory + 1)
    assert not torch.allclose(other[-1], expected[-1])
