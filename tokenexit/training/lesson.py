"""One batch through the network under an objective, as one module for Accelerate to wrap."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokenexit.halting import encode, pack
from tokenexit.models.encoder_model import EncoderModel
from tokenexit.objectives import Lesson, Objective, Occasion
from tokenexit.objectives.equilibrium import balanced
from tokenexit.signals import Signals
from tokenexit.training.batches import MicroBatch


@dataclass
class Losses:
    """What one micro-batch gave.

    Attributes:
        total: To be minimised; a sum over words.
        by_layer: Sum of cross-entropy and number of labelled words at each exit that had a loss.
    """

    total: Tensor
    by_layer: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)


class Classroom(nn.Module):
    """Holds the model being trained; ``forward`` gives a loss.

    Args:
        model: The tagger.
        objective: How its exits are trained.
        gradient_equilibrium: Whether to balance the exits' gradients.
    """

    def __init__(
        self,
        model: EncoderModel,
        objective: Objective,
        gradient_equilibrium: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self._objective = objective
        self._balance = gradient_equilibrium

    def forward(self, part: MicroBatch, step: int, progress: float, seed: int) -> Losses:
        """Loss of one micro-batch, summed over words.

        Args:
            part: Its sentences.
            step: Optimiser step.
            progress: Share of the training that is done.
            seed: Seed of the run.
        """
        model = self.model
        batch = pack(part.sentences, model.device)
        exits = model.settings.exit_layers
        lesson = self._objective.begin(
            Occasion(
                step=step,
                progress=progress,
                seed=seed,
                exit_layers=exits,
                num_words=batch.num_words,
                sentence=torch.tensor([part.places[i] for i in batch.order], device=model.device),
            )
        )
        visitor = lesson if model.heads.gate is None else WithGate(lesson)
        fork = balanced(lesson.fork, exits) if self._balance else lesson.fork
        encode(
            model.backbone,
            model.heads,
            batch,
            visitor,
            classes=model.labels,
            fork=fork,
            skip=lesson.skip,
        )
        total = lesson.loss()
        if isinstance(visitor, WithGate):
            total = total + visitor.gate_loss()
        return Losses(total, lesson.by_layer)


class WithGate:
    """Teaches the gate, beside any objective, to tell when an exit is not to be trusted.

    Args:
        lesson: The objective's.
        agree_with_top: What a right exit is: one that agrees with the top (CALM), or else one
            that agrees with the gold class (BERxiT).
    """

    def __init__(self, lesson: Lesson, agree_with_top: bool = False) -> None:
        self._lesson = lesson
        self._agree = agree_with_top
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
        guess = signals.gate_head(signals.hidden.detach()[known])
        truth = best if self._agree else (best != signals.target).long()
        self._asked.append((guess, words[known], truth[known]))
        return halt

    def leave(self, halted: Tensor, staying: Tensor) -> None:
        """Pass it on."""
        self._lesson.leave(halted, staying)

    def gate_loss(self) -> Tensor | float:
        """Squared error of the gate over all exits that were asked, summed over words."""
        total: Tensor | float = 0.0
        for guess, words, truth in self._asked:
            if self._agree:
                # Words that left before the top have nothing to agree with.
                top = self._top(words)
                guess, truth = guess[top >= 0], (truth != top)[top >= 0]
            total = total + F.mse_loss(guess, truth.float(), reduction="sum")
        return total

    def _top(self, words: Tensor) -> Tensor:
        if self._best is None:
            return torch.full_like(words, -1)
        found = torch.full_like(words, -1)
        inside = words < len(self._best)
        found[inside] = self._best[words[inside]]
        return found
