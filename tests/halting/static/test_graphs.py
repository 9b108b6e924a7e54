"""Captures: made of what comes up again, bounded, and left off where they fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tokenexit import policies
from tokenexit.halting import pack
from tokenexit.static import StaticEncoder
from tokenexit.static.graphs import Graphs, capturer


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


def test_the_second_time_is_captured_and_all_others_replay():
    done: list[str] = []
    recorder = Recorder()
    graphs = Graphs(recorder)
    for times in range(1, 5):
        graphs.run("a", lambda: done.append("a"))
        assert len(done) == times
        assert (recorder.captured, recorder.replayed) == (int(times > 1), times - 1)
    graphs.run("b", lambda: done.append("b"))
    assert (len(graphs), recorder.captured) == (1, 1)


def test_without_captures_work_is_done_as_it_is():
    done: list[int] = []
    graphs = Graphs(None)
    for number in range(3):
        graphs.run("a", lambda number=number: done.append(number))
    assert done == [0, 1, 2]
    assert not graphs.captures
    assert capturer(torch.device("cpu")) is None


def test_the_oldest_gives_way():
    recorder = Recorder()
    graphs = Graphs(recorder, most=2)
    for key in "aabbaacc":
        graphs.run(key, lambda: None)
    assert len(graphs) == 2
    captured = recorder.captured
    graphs.run("a", lambda: None)  # used after b, and kept
    assert recorder.captured == captured
    graphs.run("b", lambda: None)
    graphs.run("b", lambda: None)
    assert recorder.captured == captured + 1


def test_some_are_forgotten():
    graphs = Graphs(Recorder())
    for key in [("x", 1), ("x", 1), ("y", 1), ("y", 1)]:
        graphs.run(key, lambda: None)
    graphs.forget(lambda key: key[0] == "x")
    assert len(graphs) == 1


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_a_capture_that_fails_is_told_once_and_work_goes_on(caplog, error):
    def capture(work: Callable[[], None]) -> Any:
        raise error("CUDA out of memory. Tried to allocate 2 GiB.\nmore")

    done: list[int] = []
    graphs = Graphs(capture)
    for number in range(4):
        graphs.run("a", lambda number=number: done.append(number))
        graphs.run("b", lambda: None)
    assert done == [0, 1, 2, 3]
    told = [record for record in caplog.records if "stops capturing" in record.message]
    assert len(told) == 1
    assert "Tried to allocate 2 GiB." in told[0].message
    assert len(graphs) == 0


def test_errors_of_the_work_itself_are_not_hidden():
    graphs = Graphs(Recorder())
    with pytest.raises(ZeroDivisionError):
        graphs.run("a", lambda: 1 // 0)


# --- of whole batches --------------------------------------------------------------------------


def test_replays_give_what_work_gives(build, sentences, statically, eagerly):
    """Batches, policies and thresholds in turn, through captures made of others."""
    network, recorder = build("bert"), Recorder()
    graphs = Graphs(recorder)
    encoder = StaticEncoder(network.backbone, network.heads, 5, graphs=graphs)
    for threshold in (0.3, 0.5, 0.7):
        for policy in (policies.Entropy(threshold), policies.Hash(1, int(10 * threshold))):
            for chunk in (sentences, sentences[::-1], sentences[2:3]):
                mine, _ = statically(network, chunk, policy, encoder=encoder)
                other, _ = eagerly(network, chunk, policy)
                assert torch.equal(mine.exit_layers, other.exit_layers)
                torch.testing.assert_close(mine.logits, other.logits, atol=1e-10, rtol=0)
    assert recorder.replayed > recorder.captured > 0


def test_more_rows_than_were_captured(build, sentences, make_sentence, statically, eagerly):
    """A larger batch is computed in memory of its own; captures of smaller ones stay."""
    network, recorder, policy = build("bert"), Recorder(), policies.Entropy(0.5)
    encoder = StaticEncoder(network.backbone, network.heads, 5, graphs=Graphs(recorder))
    longer = [make_sentence([2] * 30, seed) for seed in range(9)]
    for chunk in (sentences[:2], sentences[:2], longer, sentences[:2], longer):
        mine, _ = statically(network, chunk, policy, encoder=encoder)
        other, _ = eagerly(network, chunk, policy)
        assert torch.equal(mine.exit_layers, other.exit_layers)
        torch.testing.assert_close(mine.logits, other.logits, atol=1e-10, rtol=0)
        made = recorder.captured
    assert recorder.replayed > 0
    statically(network, sentences[:2], policy, encoder=encoder)
    assert recorder.captured == made  # nothing is captured anew


def test_captures_that_fail_change_no_answer(build, sentences, statically, eagerly, caplog):
    def capture(work: Callable[[], None]) -> Any:
        raise torch.OutOfMemoryError("no room")

    network, policy = build("bert"), policies.Entropy(0.5)
    encoder = StaticEncoder(network.backbone, network.heads, 5, graphs=Graphs(capture))
    other, _ = eagerly(network, sentences, policy)
    for _ in range(3):
        mine, _ = statically(network, sentences, policy, encoder=encoder)
        assert torch.equal(mine.exit_layers, other.exit_layers)
    assert caplog.text.count("no room") == 1


def test_thresholds_are_in_memory_and_make_no_captures(build, sentences, statically):
    network, recorder = build("bert"), Recorder()
    encoder = StaticEncoder(network.backbone, network.heads, 5, graphs=Graphs(recorder))
    for number in range(6):
        policy = policies.FromLayer(policies.Entropy(number / 10), 5)
        statically(network, sentences, policy, encoder=encoder)
    assert recorder.captured == 2


class Shapes(Graphs):
    """Notes the shapes of segments."""

    def __init__(self) -> None:
        super().__init__(None)
        self.found: list[Any] = []

    def run(self, key: Any, work: Callable[[], None]) -> None:
        self.found.append(key[-1])
        super().run(key, work)


@pytest.mark.parametrize("policy", [policies.Entropy(0.5), policies.Hash(1, 6)], ids=repr)
def test_late_counts_are_those_of_a_segment_before(build, sentences, policy):
    """Each shape is that of exact counts one segment earlier, and so holds all who are left."""
    network = build("bert")
    rule = policy.as_rule(6, 5, exits=network.heads.layers)
    exact, late = Shapes(), Shapes()
    for behind, graphs in ((0, exact), (1, late)):
        encoder = StaticEncoder(network.backbone, network.heads, 5, behind=behind, graphs=graphs)
        encoder.encode(pack(sentences), rule)
    both = min(len(late.found), len(exact.found))
    assert late.found[1:both] == exact.found[: both - 1]
    assert exact.found[0].rows > exact.found[-1].rows
    for one, two in zip(late.found, exact.found, strict=False):
        assert all(map(int.__ge__, one, two))


def test_memory_of_few_sizes_is_kept(build, make_sentence, statically):
    network, recorder = build("bert"), Recorder()
    graphs = Graphs(recorder)
    encoder = StaticEncoder(network.backbone, network.heads, 5, graphs=graphs)
    texts = [make_sentence([1] * 12, seed) for seed in range(40)]
    for size in (1, 2, 4, 8, 16, 32):
        for _ in range(2):
            statically(network, texts[:size], policies.Never(), encoder=encoder)
    assert len(encoder._rooms) == 4
    assert len(graphs) == 4
