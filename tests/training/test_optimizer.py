"""Groups of weights and the schedule."""

from __future__ import annotations

import pytest
import torch

from tokenexit.training import TrainConfig
from tokenexit.training.optimizer import build_optimizer, build_schedule


def test_groups(toy):
    model = toy.build(gate=True)
    optimizer = build_optimizer(model, TrainConfig(lr=1.0, head_lr=2.0, weight_decay=0.5))
    name_of = {id(weight): name for name, weight in model.named_parameters()}
    seen = []
    for group in optimizer.param_groups:
        for weight in group["params"]:
            name = name_of[id(weight)]
            seen.append(name)
            at_the_end = name.startswith(("heads.", "network.classifier."))
            assert group["lr"] == (2.0 if at_the_end else 1.0), name
            plain = name.endswith("bias") or "LayerNorm" in name
            assert group["weight_decay"] == (0.0 if plain else 0.5), name
    assert sorted(seen) == sorted(name_of.values())
    assert any(name.startswith("heads.gate.") for name in seen)


def test_word_embeddings_have_a_rate_of_their_own_when_given(toy):
    model = toy.build()
    words = {id(weight) for weight in model.embedding_parameters()}
    assert len(words) == 1
    optimizer = build_optimizer(model, TrainConfig(lr=1.0, head_lr=2.0, embedding_lr=3.0))
    found = {id(w): g["lr"] for g in optimizer.param_groups for w in g["params"]}
    assert found.keys() == {id(weight) for weight in model.parameters()}
    assert {key for key, rate in found.items() if rate == 3.0} == words
    assert set(found.values()) == {1.0, 2.0, 3.0}


def rates(total: int, warmup: float, start: int = 0) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    if start:
        optimizer.param_groups[0]["initial_lr"] = 2.0
    schedule = build_schedule(optimizer, total, warmup, start)
    found = []
    for _ in range(start, total):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == 0
    return found


def test_schedule_rises_and_falls():
    assert rates(10, 0.4) == pytest.approx([0.5, 1, 1.5, 2, 2, 5 / 3, 4 / 3, 1, 2 / 3, 1 / 3])
    assert rates(4, 0.0) == pytest.approx([2, 2, 4 / 3, 2 / 3])
    assert rates(1, 0.5) == [2.0]


@pytest.mark.parametrize("start", [1, 3, 9])
def test_schedule_goes_on_where_it_stood(start):
    assert rates(10, 0.4, start) == rates(10, 0.4)[start:]
