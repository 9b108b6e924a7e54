"""Context gates asked by kernels: the exits that the gate in torch decides, and the same work."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from tokenexit import kernels, policies
from tokenexit.context import ContextGate
from tokenexit.halting import HALTED, LayerWork, PolicyVisitor
from tokenexit.halting.compiled import compile_encoder, compiled_rule, run_rule, run_visitor
from tokenexit.halting.flat import lay
from tokenexit.policies import Policy

CLASSES = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
DEPTH = 6
GATES: dict[str, dict[str, Any]] = {
    "given": {},
    "mlp": {"features": ("log_probabilities", "earlier_log_probability"), "inner": 16},
    "shared": {"features": ("probabilities", "named", "depth", "length"), "shared": True},
    "states": {"features": ("projection", "place"), "neighbours": ("projection",), "projection": 5},
    "alone": {"features": ("margin", "earlier_margin", "agreement"), "reach": 0, "history": 3},
    "far": {"features": ("entropy",), "reach": 4, "inner": 8},
}
AROUND: list[Policy] = [
    policies.ContextGate(0.3),
    policies.Window(policies.ContextGate(0.4), 3),
    policies.PerSentence(policies.ContextGate(0.4)),
    policies.FromLayer(policies.ContextGate(0.3), 3),
    policies.EveryKth(policies.ContextGate(0.3), 2),
    policies.PCEE(policies.ContextGate(0.4), 2),
    policies.PerLayer.thresholds(policies.FromLayer(policies.ContextGate(), 2), [0.1, 0.5]),
]

pytestmark = pytest.mark.skipif(kernels.library() is None, reason=kernels.status())


@pytest.fixture(scope="module")
def gated(build: Any, make_gate: Any) -> Callable[..., Any]:
    """A network with another gate, and its compiled twin."""

    def get(settings: Any, precision: str = "fp32", family: str = "bert") -> tuple[Any, Any]:
        network = build(family, "sdpa", torch.float32)
        heads = copy.deepcopy(network.heads)
        heads.context = make_gate(DEPTH, CLASSES, **settings)
        encoder = compile_encoder(network.backbone, heads, precision)
        assert encoder is not None
        return type(network)(network.backbone, heads), encoder

    return get


def ruled(network: Any, encoder: Any, sentences: Any, policy: Policy, **options: Any) -> Any:
    rule = compiled_rule(policy, encoder, CLASSES, network.heads.context)
    assert rule is not None
    size = options.pop("size", 99)
    starts = range(0, len(sentences), size)
    batches = [range(start, min(start + size, len(sentences))) for start in starts]
    return run_rule(encoder, lay(sentences), rule, batches, **options)


def spread(layers: np.ndarray) -> int:
    return len(np.unique(layers))


@pytest.mark.parametrize("name", GATES)
def test_exits_are_those_of_the_engine_and_of_the_reference(
    name: str, gated: Any, run: Any, sentences: Any
):
    network, encoder = gated(GATES[name])
    lively = 0
    for threshold in (0.02, 0.2, 0.4, 0.6):
        policy = policies.ContextGate(threshold)
        wanted = run(network, sentences, policy, absorb=False)
        dense = run(network, sentences, policy, dense=True)
        found = ruled(network, encoder, sentences, policy)
        np.testing.assert_array_equal(found.exit_layers, wanted.exit_layers.numpy())
        np.testing.assert_array_equal(found.exit_layers, dense.exit_layers.numpy())
        assert_close(torch.from_numpy(found.logits), wanted.logits, atol=2e-4, rtol=1e-4)
        assert found.work == wanted.work
        lively += spread(found.exit_layers) > 2
    assert lively


@pytest.mark.parametrize("policy", AROUND, ids=repr)
def test_what_is_around_a_gate(policy: Policy, gated: Any, sentences: Any):
    network, encoder = gated({}, "int8")
    for halted in HALTED:
        found = ruled(network, encoder, sentences, policy, halted=halted)
        score = (lambda s: encoder.score(DEPTH, s.for_top)) if halted == "restore" else None
        visitor = PolicyVisitor(policy, len(found.exit_layers), "cpu", score)
        with torch.no_grad():
            work = run_visitor(
                encoder,
                network.backbone,
                network.heads,
                lay(sentences),
                visitor,
                halted=halted,
                classes=CLASSES,
            )
        if halted == "restore":
            work = (*work[:-1], work[-1] + LayerWork(head=len(found.exit_layers)))
        wanted = visitor.decisions()
        np.testing.assert_array_equal(found.exit_layers, wanted.exit_layers.numpy())
        np.testing.assert_array_equal(found.logits, wanted.logits.numpy())
        assert found.work == work
        assert sum(layer.context for layer in found.work) > 0
        assert spread(found.exit_layers) > 1


@pytest.mark.parametrize("name", ["given", "mlp", "states"])
def test_company_and_threads_change_nothing(name: str, gated: Any, sentences: Any):
    network, encoder = gated(GATES[name], "int8")
    many, policy = list(sentences) * 6, policies.ContextGate(0.4)
    one = ruled(network, encoder, many, policy)
    alone = ruled(network, encoder, many, policy, size=1)
    np.testing.assert_array_equal(alone.exit_layers, one.exit_layers)
    np.testing.assert_array_equal(alone.logits, one.logits)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        more = ruled(network, encoder, many, policy, size=5)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(more.exit_layers, one.exit_layers)
    np.testing.assert_array_equal(more.logits, one.logits)


def test_what_is_done_to_a_gate_is_seen(gated: Any, sentences: Any):
    network, encoder = gated({})
    gate, policy = network.heads.context, policies.ContextGate(0.3)
    assert spread(ruled(network, encoder, sentences, policy).exit_layers) > 2
    gate.bias.fill_(50.0)  # in place
    assert (ruled(network, encoder, sentences, policy).exit_layers == DEPTH).all()
    gate.bias = torch.full_like(gate.bias, -50.0)  # another tensor
    assert (ruled(network, encoder, sentences, policy).exit_layers == 1).all()
    network.heads.context = gate.half()
    assert (ruled(network, encoder, sentences, policy).exit_layers == 1).all()
    gate.bias.fill_(50.0)  # of which kernels have a copy
    assert (ruled(network, encoder, sentences, policy).exit_layers == DEPTH).all()


def test_texts_that_leave_as_a_whole(gated: Any, run: Any, sentences: Any):
    """Whose gates have no neighbours."""
    network, encoder = gated({"features": ("entropy", "margin"), "unit": "text"})
    policy = policies.ContextGate(0.4)
    wanted = run(network, sentences, policy, absorb=False)
    found = ruled(network, encoder, sentences, policy)
    np.testing.assert_array_equal(found.exit_layers, wanted.exit_layers.numpy())
    assert found.work == wanted.work


class Own(ContextGate):
    """A gate that judges in a way of its own."""


@pytest.mark.parametrize(
    "gate",
    [
        lambda make: None,
        lambda make: make(DEPTH, CLASSES[:3]),
        lambda make: make(DEPTH + 1, CLASSES),
        lambda make: make(DEPTH, CLASSES, exits=(2, 4)),
        lambda make: Own(make(DEPTH, CLASSES).config),
    ],
)
def test_gates_that_are_asked_in_python(gate: Any, gated: Any, make_gate: Any):
    """Which also says what is wrong with them."""
    _, encoder = gated({})
    assert compiled_rule(policies.ContextGate(0.3), encoder, CLASSES, gate(make_gate)) is None
