"""A cheap policy proposes, a dear one confirms."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor

from tokenexit.errors import UserError
from tokenexit.policies.base import (
    POLICIES,
    Policy,
    State,
    ThresholdSpec,
    check_inner_policy,
    index_state,
)
from tokenexit.policies.divergence import Divergence
from tokenexit.policies.margin import Margin
from tokenexit.policies.saturation import Saturation
from tokenexit.signals import Signals

Group = tuple[Tensor, State]
"""Who belongs to it, ``[N]`` bool, and a state of ``N`` rows that is right for those."""


@POLICIES.register("two_stage")
@dataclass(frozen=True)
class TwoStage(Policy):
    """A row halts when ``gate`` proposes it and ``confirm`` agrees.

    Only proposed rows are put to ``confirm``, so that a vocabulary head is computed for them
    alone, and not at all where nobody is proposed. What ``confirm`` remembers of a row stays
    as it was while the row is not proposed; a policy that compares exits compares those at
    which it was asked, and one that looks at neighbours sees proposed ones only. SpecEE
    (ISCA 2025) checks a cheap predictor with the full head in the same way; nothing else of it
    is meant, and its numbers were not verified here.

    The threshold is that of ``confirm``: who is proposed does not depend on it, so a stricter
    setting never lets anybody out earlier, whatever ``confirm`` remembers. A stricter ``gate``
    would not promise that, and mainly sets how often ``confirm`` costs something.

    Finding the proposed rows waits for the device, once an exit (once more for a ``confirm``
    whose state takes shape only when it is first asked, as with ``Divergence``).

    Args:
        gate: Proposes; asked about all rows at every exit.
        confirm: Decides; where it has no threshold, that of ``gate`` is turned.

    Raises:
        UserError: One of them is no policy.
    """

    in_words = "{gate}, and then {confirm}"

    gate: Policy = field(default=Saturation(0.9))
    confirm: Policy = field(default=Margin(0.8))
    waits = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_inner_policy(self, "gate")
        check_inner_policy(self, "confirm")

    def init(self, num_rows: int, device: torch.device | str = "cpu") -> State:
        """State of the gate, and one group of all rows with the first state of ``confirm``."""
        everybody = torch.ones(num_rows, dtype=torch.bool, device=device)
        return self.gate.init(num_rows, device), ((everybody, self.confirm.init(num_rows, device)),)

    def step(self, signals: Signals, state: State) -> tuple[Tensor, State]:
        """Ask the gate, then ``confirm`` about those it proposes."""
        gate, groups = state
        proposed, gate = self.gate.step(signals, gate)
        halt, filed = signals.none(), groups
        # Rows asked before and rows never asked may have states of different form.
        for member, own in groups:
            rows = (proposed & member).nonzero()[:, 0]
            if len(rows) == 0:
                continue
            # Of all rows, the same signals: logits read here serve the prediction as well.
            part = signals if len(rows) == len(signals) else signals.select(rows)
            agreed, new = self.confirm.step(part, index_state(own, rows))
            halt = halt.index_copy(0, rows, agreed)
            if new is not None or own is not None:
                filed = _file(filed, rows, new, len(signals))
        return halt, (gate, filed)

    def threshold_spec(self) -> ThresholdSpec | None:
        """The threshold of ``confirm``, or else of ``gate``."""
        return getattr(self, self._turned).threshold_spec()

    def threshold_value(self) -> float | None:
        """Where that threshold stands."""
        return getattr(self, self._turned).threshold_value()

    def with_threshold(self, value: float) -> Self:
        """The same two with that threshold set to ``value``."""
        if self.threshold_spec() is None:
            raise UserError("TwoStage has no threshold to set: neither gate nor confirm has one.")
        return dataclasses.replace(
            self, **{self._turned: getattr(self, self._turned).with_threshold(value)}
        )

    @property
    def _turned(self) -> str:
        return "gate" if self.confirm.threshold_spec() is None else "confirm"

    @classmethod
    def examples(cls) -> list[Self]:
        """Around a policy without and one with a state."""
        return [cls(Saturation(0.5), Margin(0.4)), cls(Saturation(0.5), Divergence(0.1))]


def _file(groups: tuple[Group, ...], rows: Tensor, new: State, count: int) -> tuple[Group, ...]:
    """Put new states of some rows with those of the same form, in a group of their own if none.

    Args:
        groups: Of ``count`` rows, each row in one of them.
        rows: Row numbers, ``[K]``.
        new: Their states.
        count: Rows in all.
    """
    mine = torch.zeros(count, dtype=torch.bool, device=rows.device).index_fill(0, rows, True)
    if len(rows) == count:
        return ((mine, _put(None, new, rows, count)),)
    form, filed, found = _form(new), [], False
    for member, own in groups:
        if _form(own) == form:
            found = True
            filed.append((member | mine, _put(own, new, rows, count)))
        else:
            filed.append((member & ~mine, own))
    return (*filed, *(() if found else ((mine, _put(None, new, rows, count)),)))


def _form(state: State) -> Any:
    """What has to agree for states of several rows to be one: nesting, types and widths."""
    if state is None:
        return None
    if isinstance(state, Tensor):
        return state.shape[1:], state.dtype
    return tuple(_form(part) for part in state)


def _put(own: State, new: State, rows: Tensor, count: int) -> State:
    """``own`` of ``count`` rows (zeros when None) with the states of some of them replaced."""
    if new is None:
        return None
    if isinstance(new, Tensor):
        base = new.new_zeros(count, *new.shape[1:]) if own is None else own
        return base.index_copy(0, rows, new)
    parts = (None,) * len(new) if own is None else own
    return tuple(_put(old, part, rows, count) for old, part in zip(parts, new, strict=True))
