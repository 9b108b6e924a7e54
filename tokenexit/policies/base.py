"""A policy: who halts now?

A policy is an immutable value. Its fields are its whole configuration; what it remembers
between layers is an explicit *state* that the caller keeps and hands back, so that rows may
leave (``index_state``) and one policy object may serve many batches at once.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from tokenexit.errors import UserError
from tokenexit.policies.rule import Network, Rule
from tokenexit.policies.threshold_spec import ThresholdSpec
from tokenexit.policies.value import Value
from tokenexit.policies.value import check_number as check_number
from tokenexit.registry import Registry
from tokenexit.renamed import keep_former, renamed
from tokenexit.signals import Signals
from tokenexit.units import levels_of, units_of

State = Any
"""None, a tensor whose first axis is rows, or a (nested) tuple of states."""

POLICIES: Registry[Policy] = Registry("policy", "tokenexit.policies")

_FORMER = {
    "knob": "own_threshold",
    "dial": "threshold_spec",
    "setting": "threshold_value",
    "at": "with_threshold",
}

# What decides in a policy; whoever overrides one of these has another rule.
_DECIDING = ("init", "step", "score", "sure", "draw")
_STATING = ("rule_for", "kernel_score")  # what says the rule


class Policy(Value):
    """Decides at each exit which rows stop computing.

    Subclasses are frozen dataclasses registered under a name in a file of their own.
    """

    registry = POLICIES

    units: ClassVar[tuple[str, ...]] = ("word", "token", "text")
    """Rows for which the policy has a meaning: words, generated tokens, texts; ``number`` for
    texts of which exits tell a number, and no probabilities."""

    monotone: ClassVar[bool] = True
    """Whether a stricter threshold never lets a row out earlier, whatever other rows do."""

    needs_target: ClassVar[bool] = False
    """Whether the decision looks at gold labels, so that it serves analysis only."""

    reads_logits: ClassVar[bool] = True
    """Whether exits that are certain of their classes let rows out; not where a table, a draw or
    a gate of its own decides."""

    num_classes: ClassVar[int | None] = None
    """How many classes it needs; any number when None."""

    waits: ClassVar[bool] = False
    """Whether a step has to look at values on the host, and so waits for the device."""

    in_words: ClassVar[str] = ""
    """What it asks, for readers: ``{threshold}`` stands for the field, ``{times:exit}`` for so
    many exits. Empty where the name has to do; see ``policies.in_words``."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        _keep_former(cls)

    def init(self, num_rows: int, device: torch.device | str = "cpu") -> State:
        """State before the first layer, for ``num_rows`` rows."""
        return None

    @abstractmethod
    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Decide at one exit.

        Args:
            signals: The rows that arrived here.
            state: What the last call (or ``init``) returned, indexed to the same rows.

        Returns:
            Who halts, ``[N]`` bool, and the state to hand to the next exit.
        """

    def as_rule(
        self,
        num_layers: int,
        num_classes: int,
        classes: Sequence[str] = (),
        exits: Sequence[int] | None = None,
    ) -> Rule | None:
        """The same decisions as plain data that a kernel can carry out; None if there is none.

        Args:
            num_layers: Depth of the network.
            num_classes: Classes of its exits, or words of the vocabulary.
            classes: Their names, where they have names.
            exits: Layers at which the policy will be asked, from 1; all when None.
        """
        asked = (exits is None or layer in exits for layer in range(1, num_layers + 1))
        return rule_of(self, Network(num_classes, tuple(classes), tuple(asked)))

    def rule_for(self, network: Network) -> Rule | None:
        """What ``as_rule`` says where this policy may be one of several; ask by ``rule_of``."""
        return None


def _keep_former(cls: type[Policy]) -> None:
    keep_former(cls, _FORMER)
    keep_former(cls, {"levels": "units"}, units_of, levels_of)


_keep_former(Policy)


def __getattr__(name: str) -> Any:
    return renamed(__name__, name, {"Knob": ThresholdSpec, "check_policy": check_inner_policy})


def rule_of(policy: Policy, network: Network) -> Rule | None:
    """What a policy states, unless a subclass decides otherwise and states nothing new."""
    kinds = type(policy).__mro__
    stated = min(_first(kinds, name) for name in _STATING)
    if any(_first(kinds, name) < stated for name in _DECIDING):
        return None
    return policy.rule_for(network)


def _first(kinds: Sequence[type], name: str) -> int:
    """How far up the name is defined."""
    return next((n for n, kind in enumerate(kinds) if name in vars(kind)), len(kinds))


def index_state(state: State, rows: Tensor) -> State:
    """Keep the state of some rows only (row numbers or a mask)."""
    if state is None:
        return None
    if isinstance(state, Tensor):
        return state[rows]
    return tuple(index_state(part, rows) for part in state)


def check_inner_policy(policy: Policy, field: str) -> None:
    """Refuse a field that should hold a policy and does not."""
    value = getattr(policy, field)
    if not isinstance(value, Policy):
        raise UserError(
            f"{type(policy).__name__}.{field} must be a policy such as Entropy(0.1), not {value!r}."
        )


def check_unit(policy: Policy, unit: str) -> None:
    """Refuse a policy with a part that has no meaning for rows of a kind.

    Args:
        policy: The policy.
        unit: ``word``, ``token``, ``text`` or ``number``.

    Raises:
        UserError: Names the part and what it works for.
    """
    for part in walk(policy):
        if unit not in part.units:
            raise UserError(
                f"{part!r} has no meaning for {unit}s: {works_for(part)}.{_serving_numbers(unit)}"
            )


def works_for(policy: Policy) -> str:
    """What a policy serves, for messages."""
    return f"it works for {', '.join(f'{unit}s' for unit in policy.units)}"


def _serving_numbers(unit: str) -> str:
    if unit != "number":
        return ""
    names = [name for name, policy in POLICIES.items() if unit in policy.units]
    return f" Exits of a regression tell numbers; policies for them are {', '.join(names)}."


def check_policies(policy: Policy, field: str) -> None:
    """Refuse a field that should hold several policies and does not; make it a tuple."""
    value = getattr(policy, field)
    name = f"{type(policy).__name__}.{field}"
    if isinstance(value, str | Policy | Mapping) or not isinstance(value, Iterable):
        raise UserError(
            f"{name} must be a tuple of policies such as (Entropy(0.1), Patience(2)), "
            f"not {value!r}."
        )
    members = tuple(value)
    if not members:
        raise UserError(f"{name} must hold at least one policy, and is empty.")
    for number, member in enumerate(members):
        if not isinstance(member, Policy):
            raise UserError(
                f"{name}[{number}] must be a policy such as Entropy(0.1), not {member!r}."
            )
    object.__setattr__(policy, field, members)


def check_pairs(policy: Policy, field: str, example: str) -> list[tuple[Any, Any]]:
    """Read a field given as a mapping or as ``(key, value)`` pairs.

    Args:
        policy: Whose field it is.
        field: Its name.
        example: A mapping that would be right, for the message.

    Raises:
        UserError: The value is neither.
    """
    value = getattr(policy, field)
    pairs = value.items() if isinstance(value, Mapping) else value
    if isinstance(pairs, Iterable) and not isinstance(pairs, str):
        read = list(pairs)
        if all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in read):
            return [(key, item) for key, item in read]
    raise UserError(
        f"{type(policy).__name__}.{field} must be a mapping such as {example} or a tuple of "
        f"pairs, not {value!r}."
    )


def walk(policy: Policy) -> Iterator[Policy]:
    """The policy and every policy inside it."""
    yield policy
    for field in dataclasses.fields(policy):  # type: ignore[arg-type]
        value = getattr(policy, field.name)
        parts = value if isinstance(value, tuple) else (value,)
        for part in parts:
            inner = part[1] if isinstance(part, tuple) and len(part) == 2 else part
            if isinstance(inner, Policy):
                yield from walk(inner)
