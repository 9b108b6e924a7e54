"""What every policy promises of its decisions, states and settings."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import yaml
from torch import Tensor

from tokenexit.policies import POLICIES, Policy, from_config, index_state
from tokenexit.policies.base import walk
from tokenexit.testing.contract import Contract, require, require_raises
from tokenexit.testing.traces import Trace, make_trace

POLICY: Contract[Policy] = Contract("policy")


def trace_for(policy: Policy, seed: int = 0, **shape: Any) -> Trace:
    """A trace with as many classes as the policy serves."""
    needed = [part.num_classes for part in walk(policy) if part.num_classes is not None]
    return make_trace(seed, classes=min(needed, default=4), **shape)


def decisions(policy: Policy, trace: Trace) -> list[Tensor]:
    """Who would halt at every layer, nobody leaving, ``[N]`` each."""
    state, found = policy.init(len(trace.item_id)), []
    for layer in range(1, len(trace.logits) + 1):
        halt, state = policy.step(trace.signals(layer), state)
        found.append(halt)
    return found


@POLICY.promise
def is_registered(policy: Policy) -> None:
    """It is found by its name, and says what it does."""
    cls = type(policy)
    require(
        any(known is cls for _, known in POLICIES.items()),
        f'decorate the class with @POLICIES.register("{cls.__name__.lower()}").',
    )
    require(cls.__doc__, "give the class a docstring: lists of policies show it.")


@POLICY.promise
def decides_for_every_row(policy: Policy) -> None:
    """A decision is one bool a row, and the same each time."""
    trace = trace_for(policy)
    pairs = zip(decisions(policy, trace), decisions(policy, trace), strict=True)
    for layer, (halt, again) in enumerate(pairs, start=1):
        require(
            halt.dtype == torch.bool and halt.shape == trace.item_id.shape,
            f"step() gave {halt.dtype} of shape {list(halt.shape)} at layer {layer}; it has to be "
            f"torch.bool of shape {list(trace.item_id.shape)}, one entry a row.",
        )
        require(
            torch.equal(halt, again),
            f"asked twice of the same rows, it decided differently at layer {layer}. What is drawn "
            "has to come from a seed and the row's own place, and what is remembered belongs in "
            "the state, not in the policy.",
        )


@POLICY.promise
def sequences_are_apart(policy: Policy) -> None:
    """What it decides of a row does not depend on other sequences of the batch."""
    for seed in range(3):
        trace = trace_for(policy, seed, lengths=(4, 1, 6, 3))
        alone = [layer for number in range(4) for layer in trace.alone(number).exits(policy)]
        together = trace.exits(policy)
        require(
            together == alone,
            f"rows leave at {together} in a batch of four sequences and at {alone} when each is a "
            "batch of its own. Compare each row with a number, never with a mean or a rank over "
            "the batch; group by signals.sequence where neighbours count.",
        )


@POLICY.promise
def order_does_not_matter(policy: Policy) -> None:
    """What it decides of a row does not depend on the order of the rows."""
    trace = trace_for(policy, 1, lengths=(5, 7))
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    wanted = torch.tensor(trace.exits(policy))[order].tolist()
    require(
        trace.take(order).exits(policy) == wanted,
        "shuffled rows leave at other layers. Find neighbours by signals.sequence and "
        "signals.position, not by a row's number.",
    )


@POLICY.promise
def state_may_be_indexed(policy: Policy) -> None:
    """Its state is one entry a row, so that whole sequences may leave."""
    trace = trace_for(policy, 2, lengths=(4, 3, 5))
    stays = trace.sequence != 1
    for rows in (stays, stays.nonzero()[:, 0]):
        full = part = policy.init(12)
        for layer in range(1, 7):
            if layer == 3:
                part = index_state(full, rows)
            expected, full = policy.step(trace.signals(layer), full)
            if layer >= 3:
                halt, part = policy.step(trace.signals(layer).select(rows), part)
                require(
                    torch.equal(halt, expected[stays]),
                    f"with the state of the rows that stay it decides otherwise at layer {layer}. "
                    "A state is None, a tensor whose first axis is rows, or a tuple of states.",
                )


@POLICY.promise
def settings_round_trip(policy: Policy) -> None:
    """Its fields are all there is of it: mapping, JSON, YAML and repr give it back."""
    scope = {cls.__name__: cls for _, cls in POLICIES.items()}
    scope |= {type(part).__name__: type(part) for part in walk(policy)}
    config = policy.to_config()
    ways = {
        "from_config(policy.to_config())": lambda: from_config(config),
        "from_config(json.loads(json.dumps(config)))": lambda: from_config(
            json.loads(json.dumps(config))
        ),
        "from_config(policy.to_json())": lambda: from_config(policy.to_json()),
        "YAML data": lambda: from_config(yaml.safe_load(yaml.safe_dump(config))),
        "YAML text": lambda: from_config(yaml.safe_dump(config)),
        "repr(policy)": lambda: eval(repr(policy), scope),
    }
    for way, build in ways.items():
        try:
            built = build()
        except TypeError as error:
            raise AssertionError(f"{way} cannot be read: {error}. {_FIELDS}") from error
        require(built == policy, f"{way} gives {built!r}. {_FIELDS}")
    require(
        hash(from_config(config)) == hash(policy), f"an equal policy hashes differently. {_FIELDS}"
    )
    require(from_config(policy) is policy, "from_config(policy) gives another object.")


_FIELDS = (
    "Make it a frozen dataclass whose fields are numbers, strings, tuples and policies, all "
    "arguments of the constructor; turn lists and mappings into tuples in __post_init__."
)


@POLICY.promise
def is_immutable(policy: Policy) -> None:
    """It is a value: no field can be set."""
    for field in dataclasses.fields(policy):  # type: ignore[arg-type]
        require_raises(
            dataclasses.FrozenInstanceError,
            partial(setattr, policy, field.name, getattr(policy, field.name)),
            f"the field {field.name} can be changed: decorate with @dataclass(frozen=True).",
        )


@POLICY.promise
def half_precision_decides_alike(policy: Policy) -> None:
    """Half-precision values decide as the same values in float32."""
    for dtype in (torch.float16, torch.bfloat16):
        trace = trace_for(policy, 3)
        half = replace(trace, logits=trace.logits.to(dtype), gate=trace.gate.to(dtype))
        single = replace(half, logits=half.logits.float(), gate=half.gate.float())
        require(
            half.exits(policy) == single.exits(policy),
            f"rows in {dtype} leave at other layers: begin with signals.logits.float().",
        )


@POLICY.promise
def certainty_lets_out(policy: Policy) -> None:
    """Exits that agree and are certain let everybody out."""
    parts = [part for part in walk(policy) if part.needs_target]
    if not policy.reads_logits or parts:
        return
    trace = trace_for(policy, 4)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        # 10,000 at every exit: no overflow may keep anybody.
        certain = 1e4 * torch.nn.functional.one_hot(trace.item_id % 2, trace.logits.shape[-1])
        sure = replace(trace, logits=certain.to(dtype).expand(6, -1, -1))
        require(
            max(sure.exits(policy)) < 6,
            f"with logits of 10,000 for one class at every exit ({dtype}), some rows stay "
            "to the top: compute in float32 and stay finite. If it reads no logits, say "
            "reads_logits = False.",
        )


@POLICY.promise
def nobody_may_come(policy: Policy) -> None:
    """It serves no rows at all, from the start or when all have left."""
    trace, nobody = trace_for(policy), torch.arange(0)
    fresh = policy.init(0)
    _, left = policy.step(trace.signals(1), policy.init(11))
    left = index_state(left, nobody)
    for layer in range(1, 7):
        halt, fresh = policy.step(trace.signals(layer, nobody), fresh)
        require(
            halt.dtype == torch.bool and halt.shape == (0,),
            f"of no rows it gave {halt.dtype} of shape {list(halt.shape)}, not torch.bool of [0].",
        )
    halt, _ = policy.step(trace.signals(2, nobody), left)
    require(halt.shape == (0,), f"when all had left it gave {list(halt.shape)}, not [0].")


@POLICY.promise
def broken_logits_keep(policy: Policy) -> None:
    """Logits that are NaN let nobody out, and leave other sequences alone."""
    trace = trace_for(policy, 5)
    broken = replace(trace, logits=torch.full_like(trace.logits, math.nan))
    state = policy.init(11)
    for layer in range(1, 7):
        signals = broken.signals(layer)
        halt, state = policy.step(signals, state)
        require(
            not ("logits" in signals.__dict__ and halt.any()),
            "rows whose logits are NaN leave. Ask for what is true of sure rows (entropy < bar), "
            "not for the opposite to be false: a comparison with NaN is never true.",
        )
    trace = trace_for(policy, 6, lengths=(4, 5))
    one = replace(trace, logits=trace.logits.clone())
    one.logits[:, 0] = math.nan
    require(
        one.exits(policy)[4:] == trace.exits(policy)[4:],
        "one row of NaN changes when rows of another sequence leave: what is summed has to stay "
        "within a sequence.",
    )


@POLICY.promise
def does_not_wait(policy: Policy) -> None:
    """A step looks at no value on the host, unless the policy says that it ``waits``."""
    if any(part.waits for part in walk(policy)):
        return
    trace = trace_for(policy)
    state = policy.init(11, "meta")  # tensors without data
    for layer in range(1, 7):
        signals = trace.signals(layer)
        names = ("hidden", "sequence", "position", "item_id", "target", "step")
        moved: dict[str, Any] = {
            name: value.to("meta")
            for name in names
            if (value := getattr(signals, name)) is not None
        }
        if layer > 1:
            moved["previous"] = partial(torch.empty_like, moved["hidden"])
        context: Any = copy.deepcopy(signals.context)
        moved["context"] = context.to("meta")
        try:
            halt, state = policy.step(replace(signals, **moved), state)
        except (RuntimeError, NotImplementedError) as error:
            raise AssertionError(
                f"{error}\nWrite it with torch.where and masks instead of .item(), if, or "
                "indexing by a mask, make tensors on signals.hidden.device, and give init's device "
                "to the state; or say waits = True."
            ) from error
        require(
            halt.device.type == "meta" and halt.shape == (11,),
            f"of rows on a device it decided on {halt.device}, {list(halt.shape)}.",
        )
