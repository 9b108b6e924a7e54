"""The gate: from cheap numbers of a row and its neighbours to how likely its exit is wrong."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tokenexit.context.config import GateConfig
from tokenexit.context.neighbours import look
from tokenexit.context.seen import Seen
from tokenexit.errors import UserError
from tokenexit.signals import Signals

Memory = Any
"""What rows remember from exit to exit: a nested tuple of tensors, the first axis rows."""


class ContextGate(nn.Module):
    """One linear map, or one hidden layer, for each exit or for all.

    Its weights are buffers: whoever trains the model leaves them alone. ``G`` gates read ``F``
    numbers each: those of the features, then of each neighbour in turn its numbers, then whether
    each neighbour exists, then whether it has left.

    Args:
        config: What it looks at.

    Attributes:
        weight: To the ``I`` units, ``[G, I, F]``; of a linear gate ``[G, 1, F]``.
        bias: ``[G, I]``.
        out: From the units, ``[G, I]``; not there in a linear gate.
        out_bias: ``[G]``.
        project: Of states, ``[G, P, H]``, where there is a projection.
    """

    weight: Tensor
    bias: Tensor
    out: Tensor
    out_bias: Tensor
    project: Tensor

    def __init__(self, config: GateConfig, width: int = 0) -> None:
        super().__init__()
        self.config = config
        self.features = config.build(config.features, width)
        self.neighbours = config.build(config.neighbours, width) if config.around else []
        gates = 1 if config.shared else len(config.exits)
        units = config.inner or 1
        self.register_buffer("weight", torch.zeros(gates, units, self.inputs))
        self.register_buffer("bias", torch.zeros(gates, units))
        if config.inner:
            self.register_buffer("out", torch.zeros(gates, units))
            self.register_buffer("out_bias", torch.zeros(gates))
        if config.projection:
            self.register_buffer("project", torch.zeros(gates, config.projection, width))

    @property
    def inputs(self) -> int:
        """Numbers that it reads, ``F``."""
        own = sum(feature.width for feature in self.features)
        each = sum(feature.width for feature in self.neighbours) + 2
        return own + (self.slots * each if self.config.around else 0)

    @property
    def slots(self) -> int:
        """Neighbours, ``K``."""
        return 2 * self.config.reach

    @property
    def of_logits(self) -> bool:
        """Whether the exits' heads have to be computed."""
        return any(feature.of_logits for feature in (*self.features, *self.neighbours))

    @property
    def macs(self) -> int:
        """Multiply-accumulates per row."""
        projection = self.project[0].numel() if self.config.projection else 0
        return self.weight[0].numel() + self.config.inner + projection

    def place(self, layer: int) -> int:
        """Which of the gates judges an exit.

        Raises:
            UserError: The gate does not know the exit.
        """
        if layer not in self.config.exits:
            raise UserError(
                f"The context gate was fitted for exits after layers {list(self.config.exits)}, "
                f"not {layer}: fit it again."
            )
        return 0 if self.config.shared else self.config.exits.index(layer)

    def numbers(self, signals: Signals, memory: Memory = None) -> tuple[Tensor, Memory]:
        """What the gate reads of rows, ``[N, F]``, and what they remember for the next exit.

        Args:
            signals: The rows that arrived.
            memory: What the last call returned, indexed to the same rows; None at the first exit.
        """
        place = self.place(signals.layer)
        projected = None
        if self.config.projection:
            projected = signals.hidden.float() @ self.project[place].float().T
        seen = Seen(signals, projected)
        states, known = ((None,) * len(self.features), None) if memory is None else memory
        looked = [f.look(seen, state) for f, state in zip(self.features, states, strict=True)]
        parts = [numbers for numbers, _ in looked]
        if self.config.around:
            shown = [torch.zeros(len(seen), 0, device=seen.device)]  # where only who left matters
            shown += [feature.look(seen, None)[0] for feature in self.neighbours]
            read, known = self.around(signals, torch.cat(shown, dim=1), known)
            parts.append(read)
        return torch.cat(parts, dim=1), (tuple(state for _, state in looked), known)

    def around(self, signals: Signals, numbers: Tensor, known: Any) -> tuple[Tensor, Any]:
        """What is read of the neighbours, and remembered of them."""
        return look(signals, numbers, self.config.reach, known)

    def judge(self, layer: int, numbers: Tensor) -> Tensor:
        """Probability that an exit is wrong, ``[N, F] -> [N]``; NaN for a row with a NaN."""
        place = self.place(layer)
        units = numbers @ self.weight[place].float().T + self.bias[place].float()
        if self.config.inner:
            units = units.relu() @ self.out[place].float() + self.out_bias[place].float()
            return units.sigmoid()
        return units[:, 0].sigmoid()

    def step(self, signals: Signals, memory: Memory = None) -> tuple[Tensor, Memory]:
        """How likely this exit is wrong, ``[N]`` in 0..1, and what the rows remember.

        Args:
            signals: The rows that arrived.
            memory: See ``numbers``.
        """
        numbers, memory = self.numbers(signals, memory)
        if numbers.shape[1] != self.inputs:
            raise UserError(
                f"The context gate reads {self.inputs} numbers of a row, and here there are "
                f"{numbers.shape[1]}: it was fitted to {self.config.num_classes} classes."
            )
        return self.judge(signals.layer, numbers), memory

    def forward(self, signals: Signals, memory: Memory = None) -> tuple[Tensor, Memory]:
        """As ``step``."""
        return self.step(signals, memory)
