"""What is remembered of the tokens that were written."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from tokenexit.decoding.trail import Trail

ROWS = torch.arange(3)


def walked(layers: list[list[int]], reach: int = 2) -> Trail:
    """Three sequences that left at these layers of 4, doubted by a tenth of that."""
    trail = Trail(3, reach, 4)
    for place, left in enumerate(layers):
        trail.open(np.arange(3), place)
        trail.note(ROWS, torch.tensor(left) / 10)
        trail.close(torch.tensor(left))
    return trail


def test_the_newest_comes_first_and_before_the_first_there_is_nothing():
    trail = walked([[1, 2, 3]])
    trail.open(np.arange(3), 1)
    shown = trail.last(torch.tensor([2, 0]))
    assert shown["last_depths"].tolist() == [[0.75, 0.0], [0.25, 0.0]]
    torch.testing.assert_close(shown["last_doubts"], torch.tensor([[0.3, 0.0], [0.1, 0.0]]))
    trail.close(torch.tensor([4, 4, 4]))
    trail.open(np.arange(3), 2)
    assert trail.last(ROWS)["last_depths"].tolist() == [[1.0, 0.25], [1.0, 0.5], [1.0, 0.75]]
    assert trail.last(ROWS)["last_doubts"][:, 0].tolist() == [0.0, 0.0, 0.0]


def test_sequences_that_ended_take_no_step():
    trail = walked([[1, 2, 3]])
    trail.open(np.array([0, 2]), 1)
    trail.note(torch.tensor([1]), torch.tensor([0.5]))
    trail.close(torch.tensor([2, 0, 4]))
    trail.open(np.array([0, 2]), 2)
    shown = trail.last(torch.tensor([0, 1]))
    assert shown["last_depths"].tolist() == [[0.5, 0.25], [1.0, 0.75]]
    assert shown["last_doubts"][:, 0].tolist() == [0.0, 0.5]


def test_copies_and_long_texts():
    trail = walked([[1 + place % 4, 2, 3] for place in range(80)])
    trail.keep(np.array([2, 0, 0, 1]))
    trail.open(np.arange(4), 80)
    depths = trail.last(torch.arange(4))["last_depths"]
    assert depths.tolist() == [[0.75, 0.75], [1.0, 0.75], [1.0, 0.75], [0.5, 0.5]]


def test_what_is_undone_is_written_over():
    trail = walked([[1, 1, 1], [4, 4, 4], [4, 4, 4]])
    trail.open(np.arange(3), 1)
    assert trail.last(ROWS)["last_depths"].tolist() == [[0.25, 0.0]] * 3
    trail.close(torch.tensor([2, 2, 2]))
    trail.open(np.arange(3), 2)
    assert trail.last(ROWS)["last_depths"].tolist() == [[0.5, 0.25]] * 3
    assert (trail.last(ROWS)["last_doubts"] == 0)[:, 0].all()


def test_nobody_looks(build):
    assert Trail.of(None, 3, 4) is None
    gate = build("t5").context
    trail = Trail.of(gate, 3, 4)
    assert trail is not None
    assert trail.reach == gate.config.steps == 3


@pytest.mark.parametrize("search", [{"num_beams": 3}, {"do_sample": True}])
def test_beams_take_their_memory_along(build, choose, sources, search):
    """Kernels and torch remember the same of sequences that are copied."""
    plain, found = build("t5", dtype=torch.float32), []
    settings = {"max_new_tokens": 8, "return_dict_in_generate": True, **search}
    for model in (plain, copy.deepcopy(plain).use("fp32")):
        torch.manual_seed(1)
        policy = choose(plain, "context")
        found.append(model.generate(**sources.inputs, policy=policy, **settings))
    assert len(found[0].exit_layers.unique()) > 2
    assert torch.equal(found[0].exit_layers, found[1].exit_layers)


@pytest.mark.parametrize("precision", [None, "fp32"])
def test_what_is_remembered_decides(build, choose, make_sources, precision):
    """Or the comparisons of engines would not see it."""
    plain = build("t5", dtype=torch.float32)
    model, policy = copy.deepcopy(plain).use(precision), choose(plain, "context")
    sources, found = make_sources(steps=20), []
    for _ in range(2):
        decoding = model.start(**sources.inputs, policy=policy, max_steps=20)
        found.append(torch.stack([decoding.step(t).exit_layers for t in sources.tokens.T]))
        model.context.weight[..., -6:] = 0.0
    assert torch.equal(found[0][0], found[1][0])  # nothing has been written yet
    assert not torch.equal(*found)
