"""What every registered policy promises, tried on every one of its examples."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokenexit import policies
from tokenexit.policies import POLICIES, Policy, from_config, index_state
from tokenexit.policies.base import walk

NESTED: list[Policy] = [
    policies.PCEE(policies.Window(policies.Entropy(0.5), 3), 2),
    policies.PCEE(policies.PerSentence(policies.Entropy(0.7)), 2),
    policies.AllOf((policies.Window(policies.MaxProb(0.6), 3), policies.Divergence(0.3))),
    policies.AnyOf((policies.Entropy(0.2), policies.Window(policies.Entropy(0.8), 3))),
    policies.PerSentence(policies.Patience(1)),
    policies.PerSentence(policies.MaxProb(0.7), how="mean"),
    policies.FromLayer(policies.EveryKth(policies.Margin(0.3), 2), 3),
    policies.PerClass(policies.Energy(-4.0), {"O": policies.Energy(-2.0)}),
    policies.PerClass(policies.Entropy(0.2), {"O": policies.Patience(1)}),
    policies.PerLayer.thresholds(policies.MaxProb(), [0.9, 0.8, 0.5]),
    policies.PCEE(policies.Decay(policies.MaxProb(0.5)), 2),
    policies.PCEE(policies.ContextGate(0.3), 2),
    policies.FromLayer(policies.AnyOf((policies.ContextGate(0.2), policies.Entropy(0.1))), 2),
    policies.TwoStage(policies.Entropy(0.8), policies.ContextGate(0.2)),
    policies.TwoStage(policies.Patience(1), policies.Decay(policies.Saturation(0.9))),
    policies.TwoStage(policies.LearnedGate(0.6), policies.Shortlist(policies.Patience(1), 2)),
    policies.Shortlist(policies.TwoStage(policies.Saturation(0.7), policies.Divergence(0.4)), 3),
    policies.Shortlist(policies.AllOf((policies.Patience(1), policies.Decay())), 2, refresh=3),
]
EXAMPLES: list[Policy] = [
    *(example for _, cls in POLICIES.items() for example in cls.examples()),
    *NESTED,
]
WITH_DIAL = [policy for policy in EXAMPLES if policy.dial() is not None]

every_policy = pytest.mark.parametrize("policy", EXAMPLES, ids=repr)
every_dial = pytest.mark.parametrize("policy", WITH_DIAL, ids=repr)


@pytest.fixture
def make_trace(policy, make_trace):
    """Traces with as many classes as the policy serves."""
    return partial(make_trace, classes=2 if isinstance(policy, policies.Asymmetric) else 4)


def steps(policy: Policy, trace: Any, **changes: Any) -> list[torch.Tensor]:
    """Decisions at every layer, with nobody leaving."""
    state, decisions = policy.init(len(trace.item_id)), []
    for layer in range(1, len(trace.logits) + 1):
        halt, state = policy.step(trace.signals(layer, **changes), state)
        decisions.append(halt)
    return decisions


@every_policy
def test_decision_is_one_bool_a_row_and_repeatable(policy, make_trace):
    trace = make_trace()
    first, second = steps(policy, trace), steps(policy, trace)
    for halt, again in zip(first, second, strict=True):
        assert halt.dtype == torch.bool
        assert halt.shape == trace.item_id.shape
        assert torch.equal(halt, again)


@every_policy
def test_result_does_not_depend_on_other_sequences(policy, make_trace):
    for seed in range(3):
        trace = make_trace(seed, lengths=(4, 1, 6, 3))
        alone = [layer for number in range(4) for layer in trace.alone(number).exits(policy)]
        assert trace.exits(policy) == alone


@every_policy
def test_result_does_not_depend_on_row_order(policy, make_trace):
    trace = make_trace(1, lengths=(5, 7))
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    exits = torch.tensor(trace.exits(policy))
    assert trace.take(order).exits(policy) == exits[order].tolist()


@every_policy
@pytest.mark.parametrize("as_mask", [True, False])
def test_state_may_be_indexed_when_sequences_leave(policy, as_mask, make_trace):
    trace = make_trace(2, lengths=(4, 3, 5))
    stays = trace.sequence != 1
    rows = stays if as_mask else stays.nonzero()[:, 0]
    full = part = policy.init(12)
    for layer in range(1, 7):
        if layer == 3:
            part = index_state(full, rows)
        expected, full = policy.step(trace.signals(layer), full)
        if layer >= 3:
            halt, part = policy.step(trace.signals(layer).select(rows), part)
            assert torch.equal(halt, expected[stays])


@every_policy
def test_configuration_round_trips(policy):
    scope = {cls.__name__: cls for _, cls in POLICIES.items()}
    config = policy.to_config()
    assert from_config(config) == policy
    assert from_config(json.loads(json.dumps(config))) == policy
    assert from_config(policy.to_json()) == policy
    assert from_config(yaml.safe_load(yaml.safe_dump(config))) == policy
    assert from_config(yaml.safe_dump(config)) == policy
    assert eval(repr(policy), scope) == policy
    assert hash(from_config(config)) == hash(policy)
    assert from_config(policy) is policy


@every_policy
def test_policy_is_immutable(policy):
    before = policy.to_json()
    for field in dataclasses.fields(policy):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(policy, field.name, None)
    assert policy.to_json() == before


@every_policy
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_decides_like_its_own_values_in_float32(policy, dtype, make_trace):
    half = replace(make_trace(3), logits=make_trace(3).logits.to(dtype))
    half = replace(half, gate=half.gate.to(dtype))
    single = replace(half, logits=half.logits.float(), gate=half.gate.float())
    assert half.exits(policy) == single.exits(policy)


@every_policy
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_exits_that_are_certain_let_everybody_out(policy, dtype, make_trace):
    """Logits of 10,000, the same at every exit: no overflow may keep anybody."""
    trace = make_trace(4)
    certain = 1e4 * torch.nn.functional.one_hot(trace.item_id % 2, trace.logits.shape[-1])
    trace = replace(trace, logits=certain.to(dtype).expand(6, -1, -1))
    blind = policies.Never | policies.Hash | policies.LearnedGate | policies.PredictedDepth
    blind |= policies.QExit | policies.RandomExit
    reads_logits = not isinstance(policy, blind)
    if reads_logits and not policy.needs_target:
        assert max(trace.exits(policy)) < 6


@every_policy
def test_no_rows(policy, make_trace):
    trace = make_trace()
    nobody = torch.arange(0)
    state = policy.init(0)
    for layer in range(1, 7):
        halt, state = policy.step(trace.signals(layer, nobody), state)
        assert halt.dtype == torch.bool
        assert halt.shape == (0,)
    state = policy.init(11)
    _, state = policy.step(trace.signals(1), state)
    halt, _ = policy.step(trace.signals(2, nobody), index_state(state, nobody))
    assert halt.shape == (0,)


@every_policy
def test_broken_logits_let_nobody_out(policy, make_trace):
    """Where every logit is NaN, only policies that read none may halt anybody."""
    trace = make_trace(5)
    broken = replace(trace, logits=torch.full_like(trace.logits, math.nan))
    gate = torch.cat([broken.logits, trace.gate[..., None]], dim=-1)
    state = policy.init(11)
    for layer in range(1, 7):
        signals = broken.signals(layer, hidden=gate[layer - 1])
        halt, state = policy.step(signals, state)
        assert not ("logits" in signals.__dict__ and halt.any())


@every_policy
def test_one_broken_row_leaves_other_sentences_alone(policy, make_trace):
    trace = make_trace(6, lengths=(4, 5))
    broken = replace(trace, logits=trace.logits.clone())
    broken.logits[:, 0] = math.nan
    assert broken.exits(policy)[4:] == trace.exits(policy)[4:]


@pytest.mark.parametrize(
    "policy",
    # What is asked about some rows only has to find them first.
    [p for p in EXAMPLES if not any(isinstance(part, policies.TwoStage) for part in walk(p))],
    ids=repr,
)
def test_no_step_waits_for_the_device(policy, make_trace):
    """Tensors without data: anything that has to look at a value fails on them."""
    trace = make_trace()
    state = policy.init(11, "meta")
    for layer in range(1, 7):
        signals = trace.signals(layer)
        tensors = ("hidden", "sequence", "position", "item_id", "target", "step")
        moved = {
            name: value.to("meta")
            for name in tensors
            if (value := getattr(signals, name)) is not None
        }
        if layer > 1:
            moved["previous"] = partial(torch.empty_like, moved["hidden"])
        moved["context"] = copy.deepcopy(signals.context).to("meta")
        halt, state = policy.step(replace(signals, **moved), state)
        assert halt.device.type == "meta"
        assert halt.shape == (11,)


@every_dial
def test_dial_reads_back(policy):
    knob = policy.dial()
    now = policy.setting()
    assert policy.at(now) == policy
    for value in (knob.strict, knob.loose):
        turned = policy.at(value)
        assert type(turned) is type(policy)
        assert turned.setting() == value
        assert turned.dial() == knob
        assert isinstance(from_config(turned.to_config()), type(policy))


@pytest.mark.parametrize(
    "policy", [p for p in WITH_DIAL if all(x.monotone for x in walk(p))], ids=repr
)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 10_000), first=st.floats(0, 1), second=st.floats(0, 1))
def test_stricter_never_leaves_earlier(policy, seed, first, second, make_trace):
    trace = make_trace(seed)
    # 1 is the strict end of the dial, 0 the loose one.
    strict, loose = (dialled(policy, place) for place in (max(first, second), min(first, second)))
    pairs = zip(trace.exits(strict), trace.exits(loose), strict=True)
    assert all(later >= earlier for later, earlier in pairs)


@every_dial
def test_stricter_decides_no_earlier_while_nobody_leaves(policy, make_trace):
    trace = make_trace(8, lengths=(9, 1, 7))
    before = torch.zeros(17, dtype=torch.bool)
    for place in (1.0, 0.7, 0.4, 0.0):
        now = torch.tensor(trace.halts(dialled(policy, place))).any(dim=0)
        assert not (before & ~now).any()
        before = now


@every_dial
def test_ends_of_the_dial_do_what_they_are_called(policy, make_trace):
    trace = make_trace(7, lengths=(30, 1, 40))
    strict, loose = trace.exits(dialled(policy, 1.0)), trace.exits(dialled(policy, 0.0))
    assert sum(loose) < sum(strict)


def dialled(policy: Policy, place: float) -> Policy:
    knob = policy.dial()
    assert knob is not None
    if knob.log:
        low, high = math.log(knob.loose), math.log(knob.strict)
        value = math.exp(low + place * (high - low))
    else:
        value = knob.loose + place * (knob.strict - knob.loose)
    ends = sorted((knob.strict, knob.loose))
    return policy.at(min(max(value, ends[0]), ends[1]))


def test_every_module_registers_classes_reachable_by_name():
    for name, cls in POLICIES.items():
        assert getattr(policies, cls.__name__) is cls
        assert cls.__name__ in dir(policies)
        assert POLICIES.name_of(cls) == name
        assert cls.__doc__
        assert cls.examples()
