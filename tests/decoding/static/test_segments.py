"""What runs between two decisions never looks at the device, and asks little of it.

These stand for a GPU where there is none. On the ``meta`` device tensors have no numbers, so that
whoever looks at one fails; and nothing may come from, or go to, another device.
"""

from __future__ import annotations

import ast
import copy
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM

from tokenexit import policies
from tokenexit.decoders import DECODERS, adapt_decoder
from tokenexit.decoding.exits import Exits
from tokenexit.decoding.static import choose, decide, layer, segment
from tokenexit.decoding.static.choose import Choice
from tokenexit.decoding.static.network import Network, network_of
from tokenexit.decoding.static.room import Room
from tokenexit.decoding.static.served import asked_of
from tokenexit.decoding.static.sizes import Sizes
from tokenexit.gates import LinearGate
from tokenexit.policies import Policy

FAMILIES = [name for name, _ in DECODERS.items()]
SIZES = Sizes(sources=2, lanes=3, places=64, read=16)
CHOICE = Choice((2, 7), pads=True)
OF_EACH_KIND: list[Policy] = [
    policies.Never(),
    policies.Entropy(0.1),
    policies.Energy(-3.0),
    policies.MaxProb(0.9),
    policies.Saturation(0.9),
    policies.LearnedGate(0.1),
    policies.ContextGate(0.1),
    policies.Hash(1, 4),
    policies.Patience(1),
    policies.PCEE(policies.Margin(0.3), 2),
    policies.Decay(policies.Margin(0.5)),
    policies.Shortlist(policies.Margin(0.5), 8),
]


def made(
    build: Any,
    family: str,
    policy: Policy,
    *,
    window: bool = False,
    exits: tuple[int, ...] = (1, 2, 3),
    dtype: torch.dtype = torch.float32,
) -> tuple[Network, Room, Callable[[], None]]:
    """A network without numbers, memory for it, and what takes a step."""
    config = DECODERS.get(family).example_config(family)
    model: Any = AutoModelForSeq2SeqLM.from_config(config).to(dtype)
    context = None
    if isinstance(policy, policies.ContextGate):
        context = copy.deepcopy(build(family).context).to("meta")
    decoder = adapt_decoder(model.eval().to("meta"))
    network = network_of(
        decoder, Exits(decoder, exits, LinearGate(32).to("meta", dtype), None, context)
    )
    form = asked_of(policy, decoder, network.exits, window, 20).form
    room = Room(network, SIZES)

    def through() -> None:
        with torch.inference_mode():
            for part in form.segments:
                layer.project_sources(network, room, part.first, part.last)
                if window:
                    segment.run_pending(network, room, form, part, 32, 4)
                else:
                    layer.fill(network, room, part.first, part.last, 4)
                    segment.run(network, room, form, part, 32)
            segment.score_all(network, room)
            choose.choose(room, CHOICE)
            room.reorder(32)

    return network, room, through


def check_blind(seen: Any, through: Callable[[], None]) -> None:
    through()  # as on a GPU: the first time nothing is captured, and tables are made
    with seen("meta") as noted:
        through()
    assert noted.kernels
    assert not noted.reads
    assert not noted.copies


@pytest.mark.parametrize("window", [False, True], ids=["riding", "pending"])
@pytest.mark.parametrize("policy", OF_EACH_KIND, ids=repr)
def test_no_host_reads_between_exits(seen, build, policy, window):
    check_blind(seen, made(build, "t5", policy, window=window)[2])


@pytest.mark.parametrize("window", [False, True], ids=["riding", "pending"])
@pytest.mark.parametrize("family", FAMILIES)
def test_no_host_reads_in_any_family(seen, build, family, window):
    policy = policies.Shortlist(policies.Margin(0.3), 8)
    check_blind(seen, made(build, family, policy, window=window)[2])
    check_blind(seen, made(build, family, policy, window=window, dtype=torch.bfloat16)[2])


def test_no_host_reads_of_verification(seen, build):
    network, room, _ = made(build, "bart", policies.Never(), window=True)

    def through() -> None:
        with torch.inference_mode():
            segment.check(network, room, 32, 8)

    check_blind(seen, through)


def test_a_host_read_is_seen(build, monkeypatch):
    _, _, through = made(build, "t5", policies.Margin(0.1))
    monkeypatch.setattr(
        segment, "decide", lambda network, room, *more: room.alive & bool(room.alive.any())
    )
    with pytest.raises((RuntimeError, NotImplementedError)):
        through()


def test_a_copy_to_the_device_is_seen(seen, build, monkeypatch):
    _, _, through = made(build, "t5", policies.Margin(0.1))
    through()
    monkeypatch.setattr(segment, "see", lambda room, width: room.place.copy_(torch.zeros(1)))
    with seen("meta") as noted:
        through()
    assert "copy_" in noted.copies


def test_served_families_say_so():
    for name, kind in DECODERS.items():
        model: Any = AutoModelForSeq2SeqLM.from_config(kind.example_config(name))
        assert kind(model).capturable


# --- how much is asked of the device ---------------------------------------------------------


def kernels(seen: Any, work: Callable[[], Any]) -> int:
    with torch.inference_mode(), seen("meta") as noted:
        work()
    return len(noted.kernels)


def step(seen: Any, build: Any, policy: Policy, exits: tuple[int, ...]) -> int:
    network, room, _ = made(build, "t5", policy, exits=exits)
    form = asked_of(policy, network.decoder, network.exits, False, 20).form
    runs = [partial(segment.run, network, room, form, part, 32) for part in form.segments]
    return sum(kernels(seen, run) for run in runs)


@pytest.mark.parametrize(
    ("policy", "most"),
    [
        (policies.Margin(0.5), 30),
        (policies.Entropy(0.1), 32),
        (policies.Saturation(0.9), 16),
        (policies.LearnedGate(0.1), 26),
        (policies.Hash(1, 4), 15),
        (policies.Shortlist(policies.Margin(0.5), 8), 48),
    ],
    ids=repr,
)
def test_operators_a_decision(seen, build, policy, most):
    """Counted, and held: norm, head, rule, and the state of those that left."""
    none = step(seen, build, policy, ())
    one = step(seen, build, policy, (2,)) - none
    assert 0 < one <= most
    assert step(seen, build, policy, (1, 2, 3)) - none <= 3 * most


@pytest.mark.parametrize(("family", "most"), [("t5", 43), ("bart", 25)])
def test_operators_a_layer(seen, build, family, most):
    """Fewer than the model's own layer asks for."""
    network, room, _ = made(build, family, policies.Never())
    hidden, memory = (torch.zeros(6, n, 32, device="meta") for n in (1, 16))
    mine = kernels(seen, lambda: layer.run_layer(network, room, 0, hidden[:, 0], 32))
    stack: Any = network.decoder.model.get_decoder()
    own = (stack.block if family == "t5" else stack.layers)[0]
    theirs = kernels(seen, lambda: own(hidden, encoder_hidden_states=memory))
    assert mine <= min(most, theirs)


def test_operators_around_a_step(seen, build):
    network, room, _ = made(build, "t5", policies.Never())
    assert kernels(seen, lambda: segment.enter(network, room)) <= 10
    assert kernels(seen, lambda: layer.see(room, 32)) <= 7
    assert kernels(seen, lambda: choose.choose(room, CHOICE)) <= 14
    one, two = (
        kernels(seen, lambda count=count: layer.fill(network, room, 1, count, 4))
        for count in (1, 2)
    )
    assert two - one <= 12


# --- what is not called ------------------------------------------------------------------------


def test_what_captures_cannot_hold_is_not_called():
    """Names of calls that wait for the device or make tensors from numbers of the host."""
    forbidden = {"item", "tolist", "nonzero", "cpu", "numpy", "tensor", "as_tensor", "from_numpy"}
    forbidden |= {"masked_select", "unique", "bincount", "repeat_interleave"}
    for module in (segment, layer, decide):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            assert node.func.attr not in forbidden
            if node.func.attr == "where":  # a Python number in it would be copied from the host
                assert not any(isinstance(given, ast.Constant) for given in node.args)
    called = {
        node.func.attr
        for node in ast.walk(ast.parse(inspect.getsource(choose.choose)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not called & forbidden
