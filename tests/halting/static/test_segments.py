"""What runs between two decisions never looks at the device, and asks little of it.

These stand for a GPU where there is none. On the ``meta`` device tensors have no numbers, so that
whoever looks at one fails; and nothing may come from, or go to, another device.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

from tokenexit import policies
from tokenexit.backbones import BACKBONES, adapt
from tokenexit.context.features import FEATURES
from tokenexit.halting import HALTED, pack
from tokenexit.heads import ExitHeads
from tokenexit.policies import Policy
from tokenexit.static import StaticEncoder, arrived, attention, decide, plan, segment
from tokenexit.static.arrived import Network
from tokenexit.static.buckets import Shape
from tokenexit.static.room import Room, Sizes
from tokenexit.static.segment import restore, run, segments

FAMILIES = [name for name, _ in BACKBONES.items()]
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
    columns, longest = len(rule.thresholds[0]), 16
    sizes = Sizes(64, 4, 32, 2, LAYERS, columns, network.remembered, longest, torch.float32)
    room = Room(sizes, LAYERS, torch.device(device))

    def through() -> None:
        with torch.inference_mode():
            for part in segments(rule.asked):
                run(network, room, part, SHAPE)
            if halted == "restore":
                restore(network, room)

    return network, room, through


def check_blind(seen: Any, through: Callable[[], None]) -> None:
    through()  # as on a GPU: the first time nothing is captured, and tables are made
    with seen("meta") as noted:
        through()
    assert noted.kernels
    assert not noted.reads
    assert not noted.copies


@pytest.mark.parametrize("policy", OF_EACH_KIND, ids=repr)
def test_no_host_reads_between_exits(seen, policy):
    check_blind(seen, made("bert", policy)[2])


@pytest.mark.parametrize("model_type", FAMILIES)
def test_no_host_reads_in_any_family(seen, model_type):
    check_blind(seen, made(model_type, policies.Window(policies.Margin(0.3), 5))[2])


@pytest.mark.parametrize("feature", [n for n, kind in FEATURES.items() if not kind.of_steps])
def test_no_host_reads_of_context_gates(seen, make_gate, feature):
    network, _, through = made("bert", policies.Window(policies.ContextGate(0.1), 3))
    changes = {"features": (feature,), "projection": 4 if feature == "projection" else 0}
    if feature not in ("state", "change", "projection"):
        changes["neighbours"] = ("entropy", "margin")
    network.heads.context = make_gate(LAYERS, ("a", "b"), **changes).to("meta")
    check_blind(seen, through)


@pytest.mark.parametrize("halted", HALTED)
@pytest.mark.parametrize("texts", [False, True])
@pytest.mark.parametrize("name", ["linear", "mlp", "past_future"])
def test_no_host_reads_whatever_is_built_on_top(seen, halted, texts, name):
    for pool in ("first", "mean"):
        options = {"halted": halted, "texts": texts, "name": name, "pool": pool}
        check_blind(seen, made("bert", policies.Entropy(0.1), **options)[2])


def test_a_copy_to_the_device_is_seen(seen):
    """Or the tests above could not fail: DeBERTa's tables are made from the host's constants."""
    _, _, through = made("deberta-v2", policies.Entropy(0.1))
    with seen("meta") as noted:
        through()
    assert "_to_copy" in noted.copies


def test_a_host_read_is_seen(monkeypatch):
    _, _, through = made("bert", policies.Entropy(0.1))
    monkeypatch.setattr(segment, "halting", lambda *given: given[2][given[2] > 3] > 3)
    with pytest.raises((RuntimeError, NotImplementedError)):
        through()


def test_served_families_say_so():
    for name, kind in BACKBONES.items():
        model: Any = AutoModelForTokenClassification.from_config(kind.example_config(name))
        assert kind(model).capturable


def test_rotary_tables_that_grow_are_not_served():
    config = BACKBONES.get("modernbert").example_config("modernbert")
    model: Any = AutoModelForTokenClassification.from_config(config)
    model.model.rotary_emb.rope_type["full_attention"] = "dynamic"
    assert not BACKBONES.get("modernbert")(model).capturable


# --- how much is asked of the device ---------------------------------------------------------


def kernels(seen: Any, policy: Policy, exits: Sequence[int]) -> int:
    _, _, through = made("bert", policy, exits=exits)
    with seen("meta") as noted:
        through()
    return len(noted.kernels)


@pytest.mark.parametrize(
    ("policy", "most"),
    [
        (policies.Entropy(0.1), 57),
        (policies.MaxProb(0.9), 57),
        (policies.Window(policies.Entropy(0.1), 5), 73),
        (policies.PerSentence(policies.Patience(1)), 72),
    ],
    ids=repr,
)
def test_operators_a_decision(seen, policy, most):
    """Counted, and held: plan, head, rule and counts; 15 of them count, 22 make the plan."""
    none = kernels(seen, policy, ())
    one = kernels(seen, policy, (2,)) - none
    assert 0 < one <= most
    assert kernels(seen, policy, (1, 2, 3)) - none <= 3 * most


def test_operators_a_layer(seen):
    """Six more than the model's own layer: rows are gathered, laid out, read back and written."""
    network, room, _ = made("bert", policies.Entropy(0.1))
    counted = []
    with torch.inference_mode():
        met = plan.plan(room, SHAPE)
        for _ in range(2):  # the first lays out the grids as well
            with seen("meta") as noted:
                segment._layer(network, room, 0, met)
            counted.append(len(noted.kernels))
        with seen("meta") as noted:
            network.backbone.layer(0, torch.zeros(4, 16, 32, device="meta"), None)
    assert counted[1] <= 23
    assert counted[1] - len(noted.kernels) <= 6


def test_transfers_of_a_batch(build, sentences, monkeypatch):
    """Two copies to the device, one of counts a segment, and two of results; no more for more."""
    network = build("bert")
    rule = policies.AssignedDepth(9).as_rule(6, 5, exits=network.heads.layers)
    rule = replace(rule, asked=(False, True, False, True, False, False))
    started: list[Any] = []
    fetched: list[Any] = []
    copy, fetch = Tensor.copy_, Tensor.to

    def counted_copy(to: Tensor, other: Tensor, non_blocking: bool = False) -> Tensor:
        started.extend([to] if non_blocking else [])
        return copy(to, other, non_blocking)

    def counted_fetch(tensor: Tensor, *args: Any, **options: Any) -> Tensor:
        fetched.extend([tensor] if args == ("cpu",) else [])
        return fetch(tensor, *args, **options)

    encoder = StaticEncoder(network.backbone, network.heads, 5)
    for size in (8, 1):
        batch = pack(sentences[:size])
        started.clear()
        monkeypatch.setattr(Tensor, "copy_", counted_copy)
        monkeypatch.setattr(Tensor, "to", counted_fetch)
        fetched.clear()
        encoder.encode(batch, rule)
        monkeypatch.undo()
        assert len(started) == 2 + 3
        assert len(fetched) == 2


def test_what_captures_cannot_hold_is_not_called():
    """Names of calls that wait for the device or make tensors from numbers of the host."""
    forbidden = {"item", "tolist", "nonzero", "cpu", "numpy", "tensor", "as_tensor", "from_numpy"}
    forbidden |= {"masked_select", "unique", "bincount", "repeat_interleave", "where"}
    for module in (segment, plan, attention, arrived, decide):
        tree = ast.parse(inspect.getsource(module))
        called = {
            node.func.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        }
        assert not called & forbidden
