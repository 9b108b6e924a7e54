"""The check of a method, a published system as a preset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tokenexit import objectives, policies
from tokenexit.heads import build_head
from tokenexit.heads.stack import BESIDE
from tokenexit.methods import METHODS, UNITS, Method, settings_of
from tokenexit.objectives import Objective
from tokenexit.objectives.base import check_heads, check_regression
from tokenexit.policies import Policy
from tokenexit.policies.base import check_unit
from tokenexit.signals import Signals
from tokenexit.testing.contract import NamedContract, require
from tokenexit.testing.policy_promises import trace_for
from tokenexit.training import TrainConfig

METHOD = NamedContract(METHODS, str)

LONGEST = 110
"""Characters in which a method says what departs from its paper."""

LONGEST_CHECKED = 160
"""Characters in which it says what was checked."""


def check_method(method: str | type[Method]) -> None:
    """Check that a method keeps its promises: that all it names is there and fits together."""
    METHOD.check(method)


@METHOD.promise
def says_where_it_comes_from(name: str) -> None:
    """It has a docstring, its paper, and units that exist."""
    method = METHODS.get(name)
    require(method.__doc__, "give the class a docstring.")
    require(getattr(method, "paper", ""), 'say who published it: paper = "Xin et al. 2020".')
    strange = set(method.units) - set(UNITS)
    require(method.units and not strange, f"units are some of {', '.join(UNITS)}, not {strange}.")


@METHOD.promise
def says_what_departs(name: str) -> None:
    """It says in one short line how it keeps to its paper."""
    told: object = METHODS.get(name).fidelity
    short = isinstance(told, str) and " ".join(told.split()) == told and 0 < len(told) <= LONGEST
    require(
        short and told != Method.fidelity,
        'say fidelity = "as published", "own", "baseline", or what departs from the paper or its '
        f"released code, in one line of at most {LONGEST} characters, not {told!r}.",
    )
    checked: object = METHODS.get(name).checked
    require(
        isinstance(checked, str) and "\n" not in checked and len(checked) <= LONGEST_CHECKED,
        f"say in checked what was checked, in one line of at most {LONGEST_CHECKED} characters, "
        f"not {checked!r}.",
    )


@METHOD.promise
def is_made_of_what_there_is(name: str) -> None:
    """Its objective, heads and policies exist, and policies have a meaning for its units."""
    method = METHODS.get(name)
    if method.regression is not None:
        for objective in learned(settings_of(name, "number")["train"]):
            check_regression(objective)
    for unit in (*method.units, *(["number"] if method.regression is not None else [])):
        settings = settings_of(name, unit)
        found = learned(settings["train"])
        for family in settings["calibrate"]["policies"]:
            policy = policies.from_config(family)
            check_unit(policy, unit)
            require(
                policy.threshold_spec() is not None,
                f"{policy!r} has no threshold for calibration to turn.",
            )
        if "heads" in settings:
            heads = {k: v for k, v in settings["heads"].items() if k not in BESIDE}
            build_head(heads, 8, 3)
            for objective in found:
                check_heads(objective, settings["heads"])


def learned(train: Mapping[str, Any]) -> list[Objective]:
    """The objective of each phase."""
    phases = TrainConfig(**{"objective": {"name": "joint"}, **train}).each()
    return [objectives.from_config(phase.objective) for phase in phases]


@METHOD.promise
def gates_are_asked(name: str) -> None:
    """It trains a gate if, and only if, one of its policies reads it."""
    method = METHODS.get(name)
    families = (*method.policies, *(method.regression or ()))
    read = any(reads_gate(policies.from_config(family)) for family in families)
    gate = method.heads.get("gate")
    require(
        read == bool(gate),
        f"heads.gate is {gate!r}, and its policies read {'a' if read else 'no'} gate.",
    )


def reads_gate(policy: Policy) -> bool:
    """Whether a policy asks the learned gate, tried on a few rows."""
    asked: list[int] = []

    def told(signals: Signals) -> Tensor:
        asked.append(signals.layer)
        return signals.hidden[:, -1]

    trace = trace_for(policy)
    state = policy.init(len(trace.item_id))
    for layer in range(1, len(trace.logits) + 1):
        _, state = policy.step(trace.signals(layer, gate_head=told), state)
    return bool(asked)
