"""The first exit predicts how deep a token has to go (Depth-Adaptive Transformer): its loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.halting import Visitor
from tokenexit.signals import Signals


class WithDepth:
    """Trains the depth head beside any objective; the network is left alone.

    A token needs the first exit that would choose as the top does. The Depth-Adaptive
    Transformer (Elbayad et al. 2020) takes the exit with the best likelihood less a price for
    depth; agreement is what calibration promises and needs no price.

    Args:
        visitor: Who is shown the same exits.
        num_words: Words of the batch.
    """

    def __init__(self, visitor: Visitor, num_words: int) -> None:
        self._visitor, self._count = visitor, num_words
        self._guess: tuple[Tensor, Tensor] | None = None
        self._choices: list[tuple[int, Tensor, Tensor]] = []

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        """Show the exit to the visitor, and keep which word it would choose."""
        halt = self._visitor.arrive(signals, words)
        assert signals.depth_head is not None and signals.target is not None
        if self._guess is None:
            known = signals.known
            self._guess = signals.depth_head(signals.hidden.detach()[known]), words[known]
        with torch.no_grad():
            scores = signals.__dict__.get("logits")
            scores = signals.head(signals.hidden) if scores is None else scores
            best = scores.argmax(dim=-1)
            if signals.gone is not None:  # not there any more: chooses nothing, as if it had left
                best = best.masked_fill(signals.gone, -1)
            self._choices.append((signals.layer, words, best))
        return halt

    def leave(self, halted: Tensor, staying: Tensor) -> None:
        """Tell the visitor."""
        self._visitor.leave(halted, staying)

    def loss(self) -> Tensor | float:
        """Cross-entropy of the predicted depth, summed over words that reached the top."""
        if self._guess is None:
            return 0.0
        guess, words = self._guess
        needed = words.new_full((self._count,), -100)
        if self._choices and self._choices[-1][0] == guess.shape[1]:
            _, there, top = self._choices[-1]
            final = words.new_full((self._count,), -1).index_copy(0, there, top)
            for layer, asked, best in reversed(self._choices):
                right = torch.where(best == final[asked], layer - 1, needed[asked])
                needed = needed.index_copy(0, asked, right)
            needed = needed.masked_fill(final < 0, -100)
        return F.cross_entropy(guess, needed[words], ignore_index=-100, reduction="sum")
