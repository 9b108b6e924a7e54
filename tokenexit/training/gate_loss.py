"""The loss of a gate, beside that of any objective."""

from __future__ import annotations

import torch
from torch import Tensor

from tokenexit.gates import ExitGate
from tokenexit.objectives import BatchLoss
from tokenexit.signals import Signals


class WithGate:
    """Trains the gate, beside any objective, to tell when an exit is not to be trusted.

    Args:
        loss: The objective's.
        gate: What learns. Whether a right exit is one that agrees with the top (CALM, CAT), or
            with the gold class (BERxiT), ``ExitGate.taught`` says.
        num_words: Words of the batch.
        agree_with_top: The former, whatever the gate says.
    """

    def __init__(
        self, loss: BatchLoss, gate: ExitGate, num_words: int, agree_with_top: bool = False
    ) -> None:
        self._loss, self._gate, self._num_words = loss, gate, num_words
        self._agree = agree_with_top or gate.taught == "top"
        self._asked: list[tuple[Tensor, Tensor, Tensor, Tensor | None]] = []
        self._best: Tensor | None = None
        self._left = self._held = False

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        """Show the exit to the objective, and keep what the gate and the exit say."""
        halt = self._loss.arrive(signals, words)
        assert signals.gate_head is not None and signals.target is not None
        if self._loss.scored is not None and signals.layer not in self._loss.scored:
            return halt
        best = signals.logits.argmax(dim=-1)
        if signals.layer == signals.num_layers:
            self._left = self._left or len(words) < self._num_words
            if signals.gone is not None:
                self._held, best = True, best.masked_fill(signals.gone, -1)
            self._best = best.new_full((self._num_words,), -1).index_copy(0, words, best)
            return halt
        known = signals.known
        gone = None if signals.gone is None else signals.gone[known]
        if signals.target.is_floating_point():  # BERxiT's target for regression
            off = (signals.logits.detach()[:, 0].float() - signals.target).abs()
            guess = signals.gate_head(signals.detached().select(known))
            self._asked.append((guess, words[known], off[known].tanh(), gone))
            return halt
        guess = signals.gate_head(signals.detached().select(known))
        truth = best if self._agree else (best != signals.target).long()
        self._asked.append((guess, words[known], truth[known], gone))
        return halt

    def leave(self, halted: Tensor, staying: Tensor) -> None:
        """Tell the objective."""
        self._loss.leave(halted, staying)

    def loss(self) -> Tensor | float:
        """The gate's loss over all exits that were asked, summed over words."""
        total: Tensor | float = 0.0
        for guess, words, truth, gone in self._asked:
            if self._agree:
                top = self._top(words)
                truth = truth != top
                # Words that left before the top have nothing to agree with.
                if (self._left or self._best is None) and self._waits(top):
                    guess, truth = guess[top >= 0], truth[top >= 0]
                elif self._left or self._held:
                    gone = top < 0
            truth = truth.float()
            if gone is not None:  # a right guess costs nothing, and teaches nothing
                guess = torch.where(gone, truth.to(guess.dtype), guess)
            total = total + self._gate.loss(guess, truth)
        return total

    def _waits(self, rows: Tensor) -> bool:
        """Whether rows are picked by what the device knows: at no cost, or for want of a sum."""
        return rows.is_cpu or type(self._gate).loss is not ExitGate.loss

    def _top(self, words: Tensor) -> Tensor:
        return torch.full_like(words, -1) if self._best is None else self._best[words]
