"""A random trace of a network, and the plainest driver that lets rows leave it by a policy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from tokenexit.context import ContextGate
from tokenexit.policies import Policy, index_state
from tokenexit.signals import Signals
from tokenexit.testing.gates import trusting_gate

NAMES = ("O", "B-PER", "B-LOC", "I-PER")


@dataclass(frozen=True, eq=False)
class Trace:
    """What every exit would say of every row, had nobody left.

    Attributes:
        logits: ``[L, N, C]``.
        gate: What a learned gate would say, ``[L, N]``.
        sequence: Of each row, ``[N]``, as the rest.
        position: In its sequence.
        item_id: Vocabulary id.
        target: Gold class, -100 where unknown.
    """

    logits: Tensor
    gate: Tensor
    sequence: Tensor
    position: Tensor
    item_id: Tensor
    target: Tensor

    def signals(self, layer: int, rows: Tensor | None = None, **changes: Any) -> Signals:
        """Signals of one layer; the state is the logits themselves, the gate's one last.

        A row's place in its sequence serves as its decoding step.
        """
        rows = torch.arange(len(self.item_id)) if rows is None else rows
        states = torch.cat([self.logits, self.gate[..., None].to(self.logits.dtype)], dim=-1)
        layers, classes = len(self.logits), NAMES[: self.logits.shape[-1]]
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
            context=_context(layers, classes),
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


@lru_cache
def _context(layers: int, classes: tuple[str, ...]) -> ContextGate:
    """A context gate for every layer: the top is asked as well, where a model asks nobody."""
    return trusting_gate(layers, classes, exits=tuple(range(1, layers + 1)))


def make_trace(
    seed: int = 0, *, layers: int = 6, lengths: tuple[int, ...] = (4, 1, 6), classes: int = 4
) -> Trace:
    """A seeded trace, sharper with depth, with a favourite class for each row.

    Args:
        seed: Of all that is drawn.
        layers: Depth, ``L``.
        lengths: Rows of each sequence, ``N`` together.
        classes: ``C``, at most four.
    """
    random = torch.Generator().manual_seed(seed)
    rows = sum(lengths)
    sharp = torch.linspace(1.0, 6.0, layers)[:, None, None]
    favourite = torch.randn(rows, classes, generator=random)
    noise = torch.randn(layers, rows, classes, generator=random)
    target = torch.randint(classes, (rows,), generator=random)
    target[torch.rand(rows, generator=random) < 0.2] = -100
    return Trace(
        logits=sharp * (favourite + 0.5 * noise),
        gate=torch.rand(layers, rows, generator=random),
        sequence=torch.repeat_interleave(torch.tensor(lengths)),
        position=torch.cat([torch.arange(length) for length in lengths]),
        item_id=torch.randint(30, (rows,), generator=random),
        target=target,
    )
