"""Captures of steps: one a bucket, of use to the next generation, bounded, no must."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.testing import assert_close
from transformers.generation.stopping_criteria import EosTokenCriteria, MaxLengthCriteria

from tokenexit import policies
from tokenexit.decoding import DecodingSettings
from tokenexit.decoding.search import Stopping
from tokenexit.decoding.static import StaticDecoder, StaticDecoding
from tokenexit.decoding.static.sizes import Sizes
from tokenexit.static.graphs import Graphs


class Recorder:
    """Stands for CUDA: capturing does no work, replaying does."""

    def __init__(self) -> None:
        self.captured = self.replayed = 0

    def __call__(self, work: Callable[[], None]) -> Any:
        self.captured += 1
        recorder = self

        class Graph:
            def replay(self) -> None:
                recorder.replayed += 1
                work()

        return Graph()


class Keys(Graphs):
    """Notes what is captured."""

    def __init__(self, capture: Any, most: int = 256) -> None:
        super().__init__(capture, most)
        self.keys: Counter[Any] = Counter()

    def run(self, key: Any, work: Callable[[], None]) -> None:
        self.keys[key] += 1
        super().run(key, work)


@pytest.fixture
def begin(build: Any, make_sources: Any) -> Any:
    """Begins decodings of one static decoder."""

    def start(decoder: StaticDecoder, policy: Any, rows: int = 4, **options: Any) -> Any:
        model, sources = build("t5"), make_sources(tuple(3 + n % 5 for n in range(rows)), steps=70)
        with torch.no_grad():
            memory = model.decoder.encode(sources.input_ids, sources.mask)
        return StaticDecoding(
            decoder, memory, sources.mask, DecodingSettings(policy, **options)
        ), sources

    return start


@pytest.fixture
def decoder(build: Any) -> Callable[..., StaticDecoder]:
    """Factory of static decoders around one network."""

    def make(graphs: Graphs, **options: Any) -> StaticDecoder:
        model = build("t5")
        return StaticDecoder(model.decoder, model.exits(model.decoder), graphs=graphs, **options)

    return make


def eager(model: Any, sources: Any, policy: Any, **options: Any) -> Any:
    return model.start(**sources.inputs, policy=policy, **options)


@pytest.mark.parametrize("pending", ["lazy", "eager", "parallel"])
def test_replays_give_what_work_gives(begin, decoder, build, choose, pending):
    """Generations, policies and thresholds in turn, through captures made of others."""
    recorder = Recorder()
    static = decoder(Graphs(recorder))
    margin = choose(build("t5"), "margin")
    draw = torch.Generator().manual_seed(0)
    for policy in (margin, margin.with_threshold(0.1), policies.Hash(1, 4), margin):
        decoding, sources = begin(static, policy, pending=pending, max_steps=40)
        other = eager(build("t5"), sources, policy, pending=pending, max_steps=40)
        for number, tokens in enumerate(sources.tokens.T[:36]):
            if number == 20:
                index = torch.randint(4, (4,), generator=draw)
                decoding.reorder(index)
                other.reorder(index)
            one, two = decoding.step(tokens), other.step(tokens)
            assert torch.equal(one.exit_layers, two.exit_layers)
            assert_close(one.logits, two.logits, atol=1e-6, rtol=1e-6)
        del decoding
    assert recorder.replayed > 4 * recorder.captured > 0


def test_a_capture_a_segment_and_bucket(begin, decoder):
    """70 steps, at lengths of 32, 64 and 128, make three captures of each of four segments."""
    recorder = Recorder()
    graphs = Keys(recorder)
    decoding, sources = begin(decoder(graphs), policies.Margin(1.0), max_steps=70)
    for tokens in sources.tokens.T:
        decoding.step(tokens)
    assert decoding.room.sizes.places == 128
    assert recorder.captured == 3 * 4
    assert sum(graphs.keys.values()) == 70 * 4 + 4  # sources are projected once a layer


def test_a_step_in_which_nobody_is_asked_is_one_capture(begin, decoder, build):
    recorder = Recorder()
    graphs = Keys(recorder)
    static = decoder(graphs)
    stopping = Stopping([MaxLengthCriteria(30), EosTokenCriteria([200])])
    for _ in range(2):
        decoding, sources = begin(static, policies.Never(), max_steps=30)
        decoding.greedy(sources.tokens[:, :1], [], stopping, None)
        del decoding
    assert len(graphs.keys) == 2  # the sources', and the step with the choice of the next token
    assert max(graphs.keys.values()) == 2 * 29


def test_memory_is_used_again_and_captures_with_it(begin, decoder):
    recorder = Recorder()
    static = decoder(Graphs(recorder))
    for _ in range(3):
        decoding, sources = begin(static, policies.Margin(1.0), max_steps=20)
        for tokens in sources.tokens.T[:5]:
            decoding.step(tokens)
        assert len(static.rooms) == 0
        del decoding
        assert len(static.rooms) == 1
        captured = recorder.captured
    assert recorder.captured == captured == 4 + 4


def test_two_generations_at_once_have_memory_of_their_own(begin, decoder, build, choose):
    static, policy = decoder(Graphs(Recorder())), choose(build("t5"), "margin")
    both = [begin(static, policy, max_steps=10) for _ in range(2)]
    assert both[0][0].room is not both[1][0].room
    other = eager(build("t5"), both[0][1], policy, max_steps=10)
    for tokens in both[0][1].tokens.T[:10]:
        two = other.step(tokens)
        for decoding, _ in both:
            assert torch.equal(decoding.step(tokens).exit_layers, two.exit_layers)


def test_memory_and_captures_are_bounded(begin, decoder):
    graphs = Graphs(Recorder(), most=20)
    static = decoder(graphs)
    for rows in (1, 2, 4, 8, 16, 24, 32):
        decoding, sources = begin(static, policies.Margin(1.0), rows, max_steps=10)
        for tokens in sources.tokens.T[:3]:
            decoding.step(tokens)
        del decoding
    static.rooms.take(Sizes(1, 1, 32, 8))
    assert len(static.rooms) <= 6
    assert 0 < len(graphs) <= 20


def test_captures_of_memory_that_is_gone_are_gone(begin, decoder):
    graphs = Graphs(Recorder())
    static = decoder(graphs)
    for rows in (1, 2, 3, 5, 9, 17, 25, 33):
        decoding, sources = begin(static, policies.Never(), rows, max_steps=10)
        for tokens in sources.tokens.T[:3]:
            decoding.step(tokens)
        del decoding
    assert len(graphs) == 7
    static.rooms.take(Sizes(1, 1, 64, 8))
    assert len(graphs) == len(static.rooms) == 6


def test_captures_that_fail_change_no_answer_and_are_told_once(
    begin, decoder, build, choose, caplog
):
    def capture(work: Callable[[], None]) -> Any:
        raise torch.OutOfMemoryError("no room")

    static, policy = decoder(Graphs(capture)), choose(build("t5"), "hash")
    for _ in range(2):
        decoding, sources = begin(static, policy, max_steps=70)
        other = eager(build("t5"), sources, policy, max_steps=70)
        for tokens in sources.tokens.T:
            assert torch.equal(decoding.step(tokens).exit_layers, other.step(tokens).exit_layers)
    assert caplog.text.count("no room") == 1
    assert "stops capturing" in caplog.text


def test_memory_that_nobody_uses_gives_way(decoder, monkeypatch):
    """Before a generation is told that there is none."""
    from tokenexit.decoding.static import rooms

    static, made = decoder(Graphs(Recorder())), rooms.Room
    static.rooms.give_back(static.rooms.take(Sizes(1, 1, 32, 8)))
    full = [True]

    def scarce(*given: Any) -> Any:
        if full.pop() if full else False:
            raise torch.OutOfMemoryError("no room")
        return made(*given)

    monkeypatch.setattr(rooms, "Room", scarce)
    assert static.rooms.take(Sizes(2, 1, 32, 8)).sizes.sources == 2
    assert len(static.rooms) == 0
    full[:] = [True, True]
    with pytest.raises(torch.OutOfMemoryError):
        static.rooms.take(Sizes(4, 1, 32, 8))


def test_what_others_left_is_never_read(begin, decoder, build, choose):
    """Numbers that are none would spread through every mask."""
    static, policy = decoder(Graphs(None)), choose(build("t5"), "margin")
    decoding, sources = begin(static, policy, max_steps=10)
    room = decoding.room
    with torch.inference_mode():
        for store in (room.keys_values, room.states, room.hidden, room.source, room.logits):
            store.fill_(float("nan"))
    del decoding
    decoding, _ = begin(static, policy, max_steps=10)
    assert decoding.room is room
    other = eager(build("t5"), sources, policy, max_steps=10)
    for tokens in sources.tokens.T[:10]:
        one, two = decoding.step(tokens), other.step(tokens)
        assert_close(one.logits, two.logits, atol=1e-6, rtol=1e-6)
