"""What runs between two decisions never looks at the device, and asks little of it.

These stand for a GPU where there is none. On the ``meta`` device tensors have no numbers, so that
whoever looks at one fails; and nothing may come from, or go to, another device.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

from tokenexit import policies
from tokenexit.backbones import BACKBONES, adapt
from tokenexit.halting import HALTED
from tokenexit.heads import ExitHeads
from tokenexit.policies import Policy
from tokenexit.static import decide, plan, segment
from tokenexit.static.buckets import Shape
from tokenexit.static.room import Room, Sizes
from tokenexit.static.segment import Network, restore, run, segments

SERVED = [name for name, _ in BACKBONES.items() if name != "deberta-v2"]
SHAPE = Shape(rows=48, kept=64, words=32, sentences=4, queries=16, keys=20)
OF_EACH_KIND: list[Policy] = [
    policies.Never(),
    policies.Entropy(0.1),
    policies.Energy(-3.0),
    policies.Saturation(0.9),
    policies.LearnedGate(0.1),
    policies.Hash(1, 4),
    policies.PerClass(policies.Margin(0.3), {"a": policies.Margin(0.1)}),
    policies.Window(policies.MaxProb(0.3), 5),
    policies.PerSentence(policies.Patience(1)),
    policies.PerSentence(policies.Margin(0.1), how="mean"),
]
LAYERS = 4


def made(
    model_type: str,
    policy: Policy,
    *,
    halted: Any = "copy",
    exits: Sequence[int] = (1, 2, 3),
    texts: bool = False,
    device: str = "meta",
    **heads: Any,
) -> tuple[Network, Room, Callable[[], None]]:
    """A network without numbers, memory for it, and what runs it through."""
    auto: Any = AutoModelForSequenceClassification if texts else AutoModelForTokenClassification
    model = auto.from_config(BACKBONES.get(model_type).example_config(model_type))
    stack = ExitHeads({"gate": True, **heads}, exits, 32, 2)
    rule = policy.as_rule(LAYERS, 2, ("a", "b"), exits)
    assert rule is not None
    network = Network(adapt(model.eval().to(device)), stack.eval().to(device), rule, halted)
    sizes = Sizes(64, 4, 32, 2, LAYERS, len(rule.thresholds[0]), network.remembered, torch.float32)
    room = Room(sizes, LAYERS, torch.device(device))

    def through() -> None:
        with torch.inference_mode():
            for part in segments(rule.asked):
                run(network, room, part, SHAPE)
            if halted == "restore":
                restore(network, room)

    return network, room, through


def check_blind(seen: Any, through: Callable[[], None]) -> None:
    with seen("meta") as noted:
        through()
    assert noted.kernels
    assert not noted.reads
    assert not noted.copies


@pytest.mark.parametrize("policy", OF_EACH_KIND, ids=repr)
@pytest.mark.parametrize("model_type", SERVED)
def test_no_host_reads_between_exits(seen, model_type, policy):
    check_blind(seen, made(model_type, policy)[2])


@pytest.mark.parametrize("halted", HALTED)
@pytest.mark.parametrize("texts", [False, True])
@pytest.mark.parametrize("name", ["linear", "mlp", "past_future"])
def test_no_host_reads_whatever_is_built_on_top(seen, halted, texts, name):
    for pool in ("first", "mean"):
        options = {"halted": halted, "texts": texts, "name": name, "pool": pool}
        check_blind(seen, made("bert", policies.Entropy(0.1), **options)[2])


def test_a_family_that_copies_to_the_device_is_seen(seen):
    """Or the tests above could not fail: DeBERTa makes constants on the host."""
    network, _, through = made("deberta-v2", policies.Entropy(0.1))
    assert not network.backbone.capturable
    with seen("meta") as noted:
        through()
    assert "type_as" in noted.copies


def test_a_host_read_is_seen(monkeypatch):
    _, _, through = made("bert", policies.Entropy(0.1))
    monkeypatch.setattr(segment, "decide", lambda room, rule, signals, words: words[words > 3] > 3)
    with pytest.raises((RuntimeError, NotImplementedError)):
        through()


def test_served_families_say_so():
    for name, kind in BACKBONES.items():
        model: Any = AutoModelForTokenClassification.from_config(kind.example_config(name))
        assert kind(model).capturable == (name in SERVED)


def test_what_captures_cannot_hold_is_not_called():
    """Names of calls that wait for the device or make tensors from numbers of the host."""
    forbidden = {"item", "tolist", "nonzero", "cpu", "numpy", "tensor", "as_tensor", "from_numpy"}
    forbidden |= {"masked_select", "unique", "bincount", "repeat_interleave", "where"}
    for module in (segment, plan, decide):
        tree = ast.parse(inspect.getsource(module))
        called = {
            node.func.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        }
        assert not called & forbidden
