"""What every policy with a dial promises of it."""

from __future__ import annotations

import math

import torch

from tokenexit.policies import Knob, Policy, from_config
from tokenexit.policies.base import walk
from tokenexit.testing.contract import Contract, require
from tokenexit.testing.policy_promises import decisions, trace_for

DIAL: Contract[Policy] = Contract("policy with a dial")

DRAWS = 12
"""Pairs of settings that are compared, each on a trace of its own."""


def dial_of(policy: Policy) -> Knob:
    """The dial of a policy that has one."""
    knob = policy.dial()
    assert knob is not None
    return knob


def dialled(policy: Policy, place: float) -> Policy:
    """The policy with its dial between loose, 0, and strict, 1."""
    knob = dial_of(policy)
    if knob.log:
        low, high = math.log(knob.loose), math.log(knob.strict)
        value = math.exp(low + place * (high - low))
    else:
        value = knob.loose + place * (knob.strict - knob.loose)
    low, high = sorted((knob.strict, knob.loose))
    return policy.at(min(max(value, low), high))


@DIAL.promise
def dial_reads_back(policy: Policy) -> None:
    """Its dial can be set to both of its ends, and read back."""
    knob = dial_of(policy)
    now = policy.setting()
    require(now is not None, "it has a dial and setting() is None.")
    assert now is not None
    require(policy.at(now) == policy, f"at({now}) is not the same policy.")
    for value in (knob.strict, knob.loose):
        turned = policy.at(value)
        require(type(turned) is type(policy), f"at({value}) is a {type(turned).__name__}.")
        require(
            turned.setting() == value and turned.dial() == knob,
            f"at({value}) stands at {turned.setting()}, with the dial {turned.dial()}.",
        )
        built = from_config(turned.to_config())
        require(built == turned, f"set to {value} it is read back as {built!r}.")


@DIAL.promise
def stricter_is_later(policy: Policy) -> None:
    """A stricter setting never lets a row out earlier."""
    if not all(part.monotone for part in walk(policy)):
        return
    draw = torch.Generator().manual_seed(0)
    for number in range(DRAWS):
        seed = int(torch.randint(10_000, (), generator=draw)) if number else 0
        loose, strict = sorted(torch.rand(2, generator=draw).tolist()) if number else (0.0, 1.0)
        trace = trace_for(policy, seed)
        early, late = (dialled(policy, place) for place in (loose, strict))
        pairs = list(zip(trace.exits(early), trace.exits(late), strict=True))
        require(
            all(first <= second for first, second in pairs),
            f"at {late.setting()} some rows leave before they do at {early.setting()}, which is "
            f"looser (pairs of exits, loose and strict: {pairs}). Turn the comparison or the ends "
            "of the Knob; if rows wait for others that may have left, say monotone = False.",
        )


@DIAL.promise
def stricter_decides_no_earlier(policy: Policy) -> None:
    """While nobody leaves, a stricter setting decides for no row earlier."""
    trace = trace_for(policy, 8, lengths=(9, 1, 7))
    before = torch.zeros(17, dtype=torch.bool)
    for place in (1.0, 0.7, 0.4, 0.0):
        turned = dialled(policy, place)
        now = torch.stack(decisions(turned, trace)).any(dim=0)
        require(
            not (before & ~now).any(),
            f"at {turned.setting()} it halts fewer rows than at a stricter setting.",
        )
        before = now


@DIAL.promise
def ends_do_what_they_say(policy: Policy) -> None:
    """Rows leave earlier at the loose end of the dial than at the strict one."""
    knob = dial_of(policy)
    trace = trace_for(policy, 7, lengths=(30, 1, 40))
    strict, loose = (sum(trace.exits(dialled(policy, place))) for place in (1.0, 0.0))
    require(
        loose < strict,
        f"70 rows take {loose} layers at the loose end ({knob.loose}) and {strict} at the strict "
        f"one ({knob.strict}): the dial does nothing, or its ends are the wrong way round.",
    )
