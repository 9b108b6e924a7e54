"""What every exit says of every row when nobody leaves: what gates are fitted on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tokenexit.signals import Signals


@dataclass(frozen=True, eq=False)
class Table:
    """Rows at all exits.

    Attributes:
        logits: ``[E, N, C]``, the top's last; None where there are too many classes to keep them.
        sequence: Window of each row, ``[N]``.
        position: Its place there, ``[N]``.
        gold: Its class, ``[N]``, -100 where unknown.
        layers: Of the exits, ``[E]``.
        classes: Names of the classes, where they have names.
        hidden: States at the exits below the top, ``[E - 1, N, H]``; None where nobody reads them.
        answers: Class named by each exit, ``[E, N]``, where there are no logits.
    """

    logits: Tensor | None
    sequence: Tensor
    position: Tensor
    gold: Tensor
    layers: tuple[int, ...]
    classes: tuple[str, ...] = ()
    hidden: Tensor | None = None
    answers: Tensor | None = None

    def __len__(self) -> int:
        return len(self.sequence)

    @property
    def said(self) -> Tensor:
        """Class named by each exit, ``[E, N]``."""
        if self.logits is None:
            assert self.answers is not None
            return self.answers
        return self.logits.argmax(dim=-1)

    def signals(self, exit: int, rows: Tensor) -> Signals:
        """Some rows as they arrive at an exit, numbered from 0."""
        logits = None if self.logits is None else self.logits[exit][rows]
        shown = logits if self.hidden is None else self.hidden[exit][rows].float()
        assert shown is not None

        def head(hidden: Tensor) -> Tensor:
            assert logits is not None
            return logits

        return Signals(
            layer=self.layers[exit],
            num_layers=self.layers[-1],
            hidden=shown,
            sequence=self.sequence[rows],
            position=self.position[rows],
            item_id=torch.zeros_like(rows),
            num_sequences=self.num_sequences,
            extent=self.extent,
            head=head,
            classes=self.classes,
            target=self.gold[rows],
        )

    @property
    def num_sequences(self) -> int:
        """A bound on ``sequence``."""
        return int(self.sequence.max()) + 1 if len(self) else 0

    @property
    def extent(self) -> int:
        """A bound on ``position``."""
        return int(self.position.max()) + 1 if len(self) else 0
