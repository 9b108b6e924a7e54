"""What goes into a decoding step beside states, and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tokenexit.decoding.cache import Index
from tokenexit.signals import Signals


@dataclass(frozen=True, eq=False)
class Step:
    """What one step gave.

    Attributes:
        logits: Of the next token, ``[R, V]``; zeros for sequences that were not live.
        exit_layers: Layer at which each sequence left, ``[R]``, long, on the host; 0 for
            sequences that were not live.
    """

    logits: Tensor
    exit_layers: Tensor


@dataclass(frozen=True, eq=False)
class Rows:
    """What policies may know of the sequences of a step beside their states, each ``[N]``.

    Named as in ``Signals``.
    """

    item_id: Tensor
    sequence: Tensor
    position: Tensor
    step: Tensor
    num_sequences: int

    @classmethod
    def of(cls, tokens: Tensor, step: int | Tensor) -> Rows:
        """All sequences of a step, or of one each, ``tokens`` being what they read, ``[N]``."""
        number = torch.arange(len(tokens), device=tokens.device)
        place = torch.zeros_like(number)
        step = torch.full_like(number, step) if isinstance(step, int) else step
        return cls(tokens, number, place, step, len(tokens))

    def take(self, rows: Tensor) -> Rows:
        """Some of them."""
        return Rows(
            self.item_id[rows],
            self.sequence[rows],
            self.position[rows],
            self.step[rows],
            self.num_sequences,
        )

    def signals(self, layer: int, num_layers: int, hidden: Tensor, **more: Any) -> Signals:
        """What policies see of them at a layer; ``more`` is what else ``Signals`` takes."""
        told = vars(self) | more
        return Signals(layer=layer, num_layers=num_layers, hidden=hidden, extent=1, **told)


class StepOutcome:
    """Collects scores and exit layers of all sequences over the layers of a step."""

    def __init__(self, num_rows: int, resident: Index) -> None:
        self._num_rows, self._resident = num_rows, resident
        self.layers = torch.zeros(num_rows, dtype=torch.long)
        """Where each sequence left, ``[R]``; 0 for those that have not."""
        self._logits: Tensor | None = None

    def add(self, rows: Index, layer: int, logits: Tensor) -> None:
        """Sequences (their stored places) leave at a layer with these scores."""
        number = self._resident[rows]
        self.layers[torch.from_numpy(number)] = layer
        if len(rows) == self._num_rows and bool((number[1:] > number[:-1]).all()):
            self._logits = logits
            return
        if self._logits is None:
            self._logits = logits.new_zeros(self._num_rows, logits.shape[1])
        place = torch.from_numpy(number).to(logits.device)
        self._logits.index_copy_(0, place, logits.to(self._logits.dtype))

    def step(self) -> Step:
        """Scores and exit layers of all sequences, now that each has left."""
        assert self._logits is not None
        return Step(self._logits, self.layers)
