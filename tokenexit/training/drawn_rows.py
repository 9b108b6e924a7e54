"""Rows as they arrive at exits when the real engine lets those leave that a gate is sure of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tokenexit.context import ContextGate
from tokenexit.context.fit import Arrived
from tokenexit.context.gate import Memory
from tokenexit.halting import encode, pack
from tokenexit.models.encoders.encoder_model import EncoderModel
from tokenexit.models.encoders.encoding import TextWindow
from tokenexit.models.progress import tracked
from tokenexit.policies import index_state
from tokenexit.scores import predicted
from tokenexit.signals import Signals


@torch.no_grad()
def drawn_rows(
    model: EncoderModel,
    gate: ContextGate,
    windows: Sequence[TextWindow],
    halting: float,
    batch_size: int = 32,
) -> list[Arrived]:
    """Run windows with exits on and note what the gate read of whoever arrived.

    Args:
        model: The model.
        gate: Who halts.
        windows: In the order of the table that the gate was fitted on.
        halting: Rows less likely wrong than this leave.
        batch_size: Windows a batch.
    """
    backbone, heads = model.inference_backbone, model.inference_heads
    words = [len(window.sentence.word_rows) for window in windows]
    starts = torch.from_numpy(np.cumsum([0, *words]))
    gate = gate.to(model.device)
    parts: list[list[Arrived]] = [[] for _ in gate.config.exits]
    for start in tracked(range(0, len(windows), batch_size), "texts"):
        chunk = windows[start : start + batch_size]
        batch = pack([window.sentence for window in chunk], model.device)
        sequence = torch.from_numpy(batch.order)[batch.word_sequence.cpu()] + start
        visitor = _Drawing(gate, halting, starts[sequence] + batch.word_position.cpu())
        halted = model.settings.halted
        told = {"halted": halted, "classes": model.labels, "reducer": model.reducer}
        encode(backbone, heads, batch, visitor, **told)
        for part, found in zip(parts, visitor.arrived, strict=False):
            part.append(found)
    return [Arrived.joined(exit, part) for exit, part in enumerate(parts) if part]


class _Drawing:
    """A visitor that keeps what a gate reads.

    Args:
        gate: Decides.
        halting: How sure it has to be.
        numbers: Of the batch's words in the table, ``[W]``.
    """

    def __init__(self, gate: ContextGate, halting: float, numbers: Tensor) -> None:
        self._gate, self._halting, self._rows = gate, halting, numbers
        self._memory: Memory = None
        self.arrived: list[Arrived] = []

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        """Note what is read of the rows, and let those leave of whom the gate is sure."""
        if signals.layer == signals.num_layers:
            return None
        numbers, self._memory = self._gate.numbers(signals, self._memory)
        rows, named = self._rows[words.cpu()], predicted(signals.logits).cpu()
        self.arrived.append(Arrived(len(self.arrived), rows, numbers.cpu(), named))
        return self._gate.judge(signals.layer, numbers) < self._halting

    def leave(self, halted: Tensor, staying: Tensor) -> None:
        """Forget those that left."""
        self._memory = index_state(self._memory, staying)
