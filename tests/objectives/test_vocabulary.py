"""What all objectives share: their names, settings, weights and draws."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from tokenexit.errors import UserError
from tokenexit.objectives import OBJECTIVES, BatchInfo, BatchLoss, Objective, from_config
from tokenexit.objectives.base import draw
from tokenexit.objectives.weights import layer_weights
from tokenexit.testing import check_objective


def occasion(*, step: int = 0, seed: int = 0) -> BatchInfo:
    return BatchInfo(step, 0.0, seed, (1, 2), 1, torch.zeros(1, dtype=torch.long))


@pytest.mark.parametrize("module", ["tokenexit.objectives", "tokenexit.objectives.base"])
def test_names_of_before_still_work_and_say_what_they_are_called_now(module):
    home: Any = importlib.import_module(module)
    with pytest.warns(DeprecationWarning, match=r"Lesson is called BatchLoss now"):
        assert home.Lesson is BatchLoss
    with pytest.warns(DeprecationWarning, match=r"Occasion is called BatchInfo now"):
        assert home.Occasion is BatchInfo
    with pytest.raises(AttributeError, match="Lessen"):
        _ = home.Lessen


@pytest.mark.parametrize("name", [name for name, _ in OBJECTIVES.items()])
def test_an_objective_keeps_its_promises(name):
    check_objective(name)


@dataclass(frozen=True)
class Plain(Objective):
    """Cross-entropy at every exit; parts of it are broken below."""

    def start(self, occasion):
        return type(self).Batch()

    class Batch(BatchLoss):
        def arrive(self, signals, words):
            self.cross_entropy(signals, 1.0)


class PerRow(Plain):
    """Forgets to sum."""

    class Batch(BatchLoss):
        def arrive(self, signals, words):
            self.note(signals)
            self.total = torch.zeros(7)


class Averaged(Plain):
    """Divides by labelled words, of which there may be none."""

    class Batch(BatchLoss):
        def arrive(self, signals, words):
            self.add(self.note(signals) / (signals.target != -100).sum())


class Drawn(Plain):
    """Draws as it goes."""

    class Batch(BatchLoss):
        def arrive(self, signals, words):
            self.cross_entropy(signals, torch.rand(()))


class Greedy(Plain):
    """Learns from rows without a label."""

    class Batch(BatchLoss):
        def arrive(self, signals, words):
            self.add(self.note(signals) + signals.logits.square().sum())


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (PerRow, r"a tensor of \[7\], not a number"),
        (Averaged, "batch without labels is nan"),
        (Drawn, "occasion, count"),
        (Greedy, "unlabelled = True"),
    ],
)
def test_a_broken_objective_is_told_what_to_mend(broken, told, monkeypatch):
    monkeypatch.setattr(OBJECTIVES, "_members", {**OBJECTIVES._members, "broken": broken})
    with pytest.raises(AssertionError, match=f"(?s){broken.__name__}.*{told}"):
        check_objective(broken)


def test_from_config_builds_by_name():
    assert from_config("joint") == from_config({"name": "joint", "weights": "depth"})
    built: Objective = from_config({"name": "two_stage", "split": 0.25})
    assert built == OBJECTIVES.get("two_stage")(split=0.25)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("jointt", "Did you mean 'joint'"),
        ({"name": "two_stage", "splitt": 0.5}, "Did you mean 'split'"),
        ({"weights": "depth"}, "needs a 'name'"),
        ({"name": "joint", "weights": "dept"}, "Did you mean 'depth'"),
        ({"name": "alternating", "weights": "even"}, "rule for loss weights"),
        ({"name": "self_distillation", "weights": "x"}, "rule for loss weights"),
        ({"name": "halt_and_copy", "weights": "x"}, "rule for loss weights"),
        ({"name": "two_stage", "split": 1.0}, "between 0 and 1"),
        ({"name": "two_stage", "split": 0}, "between 0 and 1"),
        ({"name": "two_stage", "split": "half"}, "cannot be built"),
        ({"name": "self_distillation", "share": 1.1}, "share must be from 0 to 1"),
        ({"name": "self_distillation", "share": float("nan")}, "share must be from 0 to 1"),
        ({"name": "self_distillation", "temperature": 0}, "temperature must be above 0"),
        ({"name": "single", "weights": "depth"}, "Unknown setting"),
    ],
)
def test_mistakes_are_explained(config, said):
    with pytest.raises(UserError, match=said):
        from_config(config)


def test_layer_weights():
    assert layer_weights("uniform", (2, 4)) == {2: 0.5, 4: 0.5}
    assert layer_weights("depth", (1, 3)) == {1: 0.25, 3: 0.75}
    for rule in ("depth", "uniform"):
        for layers in ((1,), (1, 2, 3), (2, 5, 12), tuple(range(1, 25))):
            assert sum(layer_weights(rule, layers).values()) == pytest.approx(1)


def test_draws_depend_on_seed_step_and_salt_alone():
    base = draw(occasion(), 50)
    torch.manual_seed(5)
    torch.rand(3)
    assert torch.equal(draw(occasion(), 50), base)
    assert not torch.equal(draw(occasion(step=1), 50), base)
    assert not torch.equal(draw(occasion(seed=1), 50), base)
    assert not torch.equal(draw(occasion(), 50, salt=1), base)


def test_a_longer_draw_begins_with_the_shorter():
    # A process draws as far as its own last sentence only.
    long = draw(occasion(step=3), 300)
    for count in range(300):
        assert torch.equal(draw(occasion(step=3), count), long[:count])
