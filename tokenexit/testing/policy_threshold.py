"""What every policy with a threshold promises of it."""

from __future__ import annotations

import math

import torch

from tokenexit.policies import Policy, ThresholdSpec, from_config
from tokenexit.policies.base import walk
from tokenexit.testing.contract import Contract, require
from tokenexit.testing.policy_promises import decisions, trace_for

THRESHOLD: Contract[Policy] = Contract("policy with a threshold")

DRAWS = 12
"""Pairs of settings that are compared, each on a trace of its own."""


def spec_of(policy: Policy) -> ThresholdSpec:
    """The threshold of a policy that has one."""
    spec = policy.threshold_spec()
    assert spec is not None
    return spec


def set_to(policy: Policy, place: float) -> Policy:
    """The policy with its threshold between loose, 0, and strict, 1."""
    spec = spec_of(policy)
    if spec.log:
        low, high = math.log(spec.loose), math.log(spec.strict)
        value = math.exp(low + place * (high - low))
    else:
        value = spec.loose + place * (spec.strict - spec.loose)
    low, high = sorted((spec.strict, spec.loose))
    return policy.with_threshold(min(max(value, low), high))


@THRESHOLD.promise
def threshold_reads_back(policy: Policy) -> None:
    """Its threshold can be set to both of its ends, and read back."""
    spec = spec_of(policy)
    now = policy.threshold_value()
    require(now is not None, "it has a threshold and threshold_value() is None.")
    assert now is not None
    require(policy.with_threshold(now) == policy, f"with_threshold({now}) is not the same policy.")
    for value in (spec.strict, spec.loose):
        turned = policy.with_threshold(value)
        kind = type(turned)
        require(kind is type(policy), f"with_threshold({value}) is a {kind.__name__}.")
        require(
            turned.threshold_value() == value and turned.threshold_spec() == spec,
            f"with_threshold({value}) has the threshold {turned.threshold_value()} of "
            f"{turned.threshold_spec()}.",
        )
        built = from_config(turned.to_config())
        require(built == turned, f"set to {value} it is read back as {built!r}.")


@THRESHOLD.promise
def stricter_is_later(policy: Policy) -> None:
    """A stricter setting never lets a row out earlier."""
    if not all(part.monotone for part in walk(policy)):
        return
    draw = torch.Generator().manual_seed(0)
    for number in range(DRAWS):
        seed = int(torch.randint(10_000, (), generator=draw)) if number else 0
        loose, strict = sorted(torch.rand(2, generator=draw).tolist()) if number else (0.0, 1.0)
        trace = trace_for(policy, seed)
        early, late = (set_to(policy, place) for place in (loose, strict))
        pairs = list(zip(trace.exits(early), trace.exits(late), strict=True))
        require(
            all(first <= second for first, second in pairs),
            f"at {late.threshold_value()} some rows leave before they do at "
            f"{early.threshold_value()}, which is looser (pairs of exits, loose and strict: "
            f"{pairs}). Turn the comparison or the ends of the ThresholdSpec; if rows wait for "
            "others that may have left, say monotone = False.",
        )


@THRESHOLD.promise
def stricter_decides_no_earlier(policy: Policy) -> None:
    """While nobody leaves, a stricter setting decides for no row earlier."""
    trace = trace_for(policy, 8, lengths=(9, 1, 7))
    before = torch.zeros(17, dtype=torch.bool)
    for place in (1.0, 0.7, 0.4, 0.0):
        turned = set_to(policy, place)
        now = torch.stack(decisions(turned, trace)).any(dim=0)
        require(
            not (before & ~now).any(),
            f"at {turned.threshold_value()} it halts fewer rows than at a stricter setting.",
        )
        before = now


@THRESHOLD.promise
def ends_do_what_they_say(policy: Policy) -> None:
    """Rows leave earlier at the loose end of the threshold than at the strict one."""
    spec = spec_of(policy)
    trace = trace_for(policy, 7, lengths=(30, 1, 40))
    strict, loose = (sum(trace.exits(set_to(policy, place))) for place in (1.0, 0.0))
    require(
        loose < strict,
        f"70 rows take {loose} layers at the loose end ({spec.loose}) and {strict} at the strict "
        f"one ({spec.strict}): the threshold does nothing, or its ends are the wrong way round.",
    )
