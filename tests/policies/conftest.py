"""A random multi-layer trace, and the plainest driver that can let rows leave it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tokenexit.policies import Policy, index_state
from tokenexit.signals import Signals

NAMES = ("O", "B-PER", "B-LOC", "I-PER")


@dataclass(frozen=True, eq=False)
class Trace:
    """What every exit would say of every row, had nobody left: logits ``[L, N, C]``."""

    logits: Tensor
    gate: Tensor
    sequence: Tensor
    position: Tensor
    item_id: Tensor
    target: Tensor
    make_gate: Callable[..., Any]

    def signals(self, layer: int, rows: Tensor | None = None, **changes: Any) -> Signals:
        """Signals of one layer; the state is the logits themselves, the gate's one last.

        A row's place in its sequence serves as its decoding step.
        """
        rows = torch.arange(len(self.item_id)) if rows is None else rows
        states = torch.cat([self.logits, self.gate[..., None].to(self.logits.dtype)], dim=-1)
        layers, classes = len(self.logits), NAMES[: self.logits.shape[-1]]
        # Asked at the top as well, where a model asks nobody.
        context = self.make_gate(layers, classes, exits=tuple(range(1, layers + 1)))
        signals = Signals(
            layer=layer,
            num_layers=layers,
            hidden=states[layer - 1][rows],
            sequence=self.sequence[rows],
            position=self.position[rows],
            item_id=self.item_id[rows],
            num_sequences=int(self.sequence.max()) + 1,
            extent=int(self.position.max()) + 1,
            classes=classes,
            target=self.target[rows],
            head=lambda hidden: hidden[:, :-1],
            gate_head=lambda signals: signals.hidden[:, -1],
            depth_head=lambda hidden: (
                hidden[:, -1:].float() * torch.arange(len(self.logits), device=hidden.device)
            ).log_softmax(dim=-1),
            shortlist_head=lambda hidden, ids: hidden[:, :-1].gather(1, ids),
            previous=None if layer == 1 else lambda: states[layer - 2][rows],
            step=self.position[rows],
            num_steps=8,
            context=context,
        )
        return replace(signals, **changes)

    def take(self, rows: Tensor) -> Trace:
        """The trace of some rows only, in the order given."""
        return Trace(
            self.logits[:, rows],
            self.gate[:, rows],
            self.sequence[rows],
            self.position[rows],
            self.item_id[rows],
            self.target[rows],
            self.make_gate,
        )

    def alone(self, number: int) -> Trace:
        """One sequence as a batch of its own."""
        part = self.take((self.sequence == number).nonzero()[:, 0])
        return replace(part, sequence=torch.zeros_like(part.sequence))

    def halts(self, policy: Policy, **changes: Any) -> list[list[bool]]:
        """Decisions ``[L][N]`` with nobody leaving."""
        state, decisions = policy.init(len(self.item_id)), []
        for layer in range(1, len(self.logits) + 1):
            halt, state = policy.step(self.signals(layer, **changes), state)
            decisions.append(halt.tolist())
        return decisions

    def exits(self, policy: Policy) -> list[int]:
        """Exit layer of each row, as a model would find it: halted rows are not asked again."""
        layers, rows, _ = self.logits.shape
        exits = torch.full((rows,), layers)
        active, state = torch.arange(rows), policy.init(rows)
        for layer in range(1, layers):
            halt, state = policy.step(self.signals(layer, active), state)
            exits[active[halt]] = layer
            active, state = active[~halt], index_state(state, ~halt)
        return exits.tolist()


@pytest.fixture(scope="session")
def make_trace(make_gate: Callable[..., Any]) -> Callable[..., Trace]:
    """Factory of traces: seeded, sharper with depth, with a favourite class for each row."""

    def make(
        seed: int = 0, *, layers: int = 6, lengths: tuple[int, ...] = (4, 1, 6), classes: int = 4
    ) -> Trace:
        random = torch.Generator().manual_seed(seed)
        rows = sum(lengths)
        sequence = torch.repeat_interleave(torch.tensor(lengths))
        sharp = torch.linspace(1.0, 6.0, layers)[:, None, None]
        favourite = torch.randn(rows, classes, generator=random)
        noise = torch.randn(layers, rows, classes, generator=random)
        target = torch.randint(classes, (rows,), generator=random)
        target[torch.rand(rows, generator=random) < 0.2] = -100
        return Trace(
            logits=sharp * (favourite + 0.5 * noise),
            gate=torch.rand(layers, rows, generator=random),
            sequence=sequence,
            position=torch.cat([torch.arange(length) for length in lengths]),
            item_id=torch.randint(30, (rows,), generator=random),
            target=target,
            make_gate=make_gate,
        )

    return make


@pytest.fixture(scope="session")
def trace_of(make_gate: Callable[..., Any]) -> Callable[..., Trace]:
    """Factory of a trace written by hand: logits ``[L][N][C]``, all rows in one sequence."""

    def make(logits: Any, **changes: Any) -> Trace:
        values = torch.as_tensor(logits)
        layers, rows, _ = values.shape
        trace = Trace(
            logits=values,
            gate=torch.full((layers, rows), 0.5),
            sequence=torch.zeros(rows, dtype=torch.long),
            position=torch.arange(rows),
            item_id=torch.arange(rows),
            target=torch.full((rows,), -100),
            make_gate=make_gate,
        )
        return replace(trace, **changes)

    return make
