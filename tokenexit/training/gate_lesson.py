"""Teaching a gate beside any objective."""

from __future__ import annotations

import torch
from torch import Tensor

from tokenexit.gates import ExitGate
from tokenexit.objectives import Lesson
from tokenexit.signals import Signals


class WithGate:
    """Teaches the gate, beside any objective, to tell when an exit is not to be trusted.

    Args:
        lesson: The objective's.
        gate: What learns. Whether a right exit is one that agrees with the top (CALM, CAT), or
            with the gold class (BERxiT), is the gate's to say.
        agree_with_top: The former, whatever the gate says.
    """

    def __init__(self, lesson: Lesson, gate: ExitGate, agree_with_top: bool = False) -> None:
        self._lesson, self._gate = lesson, gate
        self._agree = agree_with_top or gate.taught == "top"
        self._asked: list[tuple[Tensor, Tensor, Tensor]] = []
        self._best: Tensor | None = None

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        """Ask the lesson, and note what the gate and the exit say."""
        halt = self._lesson.arrive(signals, words)
        assert signals.gate_head is not None and signals.target is not None
        if self._lesson.scored is not None and signals.layer not in self._lesson.scored:
            return halt
        best = signals.logits.argmax(dim=-1)
        if signals.layer == signals.num_layers:
            self._best = best.new_full((int(words.max()) + 1,), -1).index_copy(0, words, best)
            return halt
        known = signals.target != -100
        if signals.target.is_floating_point():  # BERxiT's target for regression
            off = (signals.logits.detach()[:, 0].float() - signals.target).abs()
            guess = signals.gate_head(signals.apart().select(known))
            self._asked.append((guess, words[known], off[known].tanh()))
            return halt
        guess = signals.gate_head(signals.apart().select(known))
        truth = best if self._agree else (best != signals.target).long()
        self._asked.append((guess, words[known], truth[known]))
        return halt

    def leave(self, halted: Tensor, staying: Tensor) -> None:
        """Pass it on."""
        self._lesson.leave(halted, staying)

    def gate_loss(self) -> Tensor | float:
        """The gate's loss over all exits that were asked, summed over words."""
        total: Tensor | float = 0.0
        for guess, words, truth in self._asked:
            if self._agree:
                # Words that left before the top have nothing to agree with.
                top = self._top(words)
                guess, truth = guess[top >= 0], (truth != top)[top >= 0]
            total = total + self._gate.loss(guess, truth.float())
        return total

    def _top(self, words: Tensor) -> Tensor:
        found = torch.full_like(words, -1)
        if self._best is None:
            return found
        inside = words < len(self._best)
        found[inside] = self._best[words[inside]]
        return found
