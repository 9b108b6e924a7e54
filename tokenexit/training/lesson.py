"""One batch through the network under an objective, as one module for Accelerate to wrap."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tokenexit.errors import UserError
from tokenexit.halting import encode, pack
from tokenexit.models.encoders.encoder_model import EncoderModel
from tokenexit.objectives import Objective, Occasion
from tokenexit.objectives.base import check_heads, check_regression
from tokenexit.objectives.equilibrium import balanced
from tokenexit.training.batches import MicroBatch
from tokenexit.training.gate_lesson import WithGate
from tokenexit.training.hold import holds


@dataclass
class Losses:
    """What one micro-batch gave.

    Attributes:
        total: To be minimised; a sum over words.
        by_layer: Sum of cross-entropy and number of labelled words at each exit that had a loss.
        guide: Part of ``total`` whose gradient the rest must not oppose, if there is one.
        unlabelled: Whether words without a gold class have a share in ``total``.
    """

    total: Tensor
    by_layer: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    guide: Tensor | None = None
    unlabelled: bool = False


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
        check_heads(objective, model.settings.heads)
        if model.scale is not None:
            check_regression(objective)
            if model.heads.gate is not None and model.heads.gate.taught != "gold":
                raise UserError(
                    f"The gate {model.settings.heads['gate']!r} learns from classes, and a "
                    "regression has none; use heads.gate=true."
                )
        self.learned = objective.learned(model.settings.exit_layers)
        self.objective = objective
        self._balance = gradient_equilibrium

    def forward(
        self, part: MicroBatch, step: int, progress: float, seed: int, outer: bool = False
    ) -> Losses:
        """Loss of one micro-batch, summed over words.

        Args:
            part: Its sentences.
            step: Optimiser step.
            progress: Share of the training that is done.
            seed: Seed of the run.
            outer: By what the objective's upper level is judged, instead of the loss.
        """
        model = self.model
        batch = pack(part.sentences, model.device)
        exits = model.settings.exit_layers
        sentence = torch.from_numpy(batch.row_sequence[batch.first_row])
        lesson = self.objective.begin(
            Occasion(
                step=step,
                progress=progress,
                seed=seed,
                exit_layers=exits,
                num_words=batch.num_words,
                sentence=torch.tensor([part.places[i] for i in batch.order]),
                learned=self.learned,
                device=model.device,
                word_sentence=sentence,
                word_place=torch.arange(len(sentence)) - torch.searchsorted(sentence, sentence),
            ),
            outer,
        )
        gate = model.heads.gate
        taught = gate is not None and gate.taught is not None
        words = batch.num_words
        visitor = WithGate(lesson, gate, words) if gate is not None and taught else lesson
        held = holds(
            *(lesson, model.device, model.backbone.num_layers, model.labels, model.heads.layers),
            gate=gate if taught else None,
        )
        fork = balanced(lesson.fork, exits) if self._balance else lesson.fork
        encode(
            model.backbone,
            model.heads,
            batch,
            visitor,
            classes=model.labels,
            fork=fork,
            skip=lesson.skip,
            compact=not held,
        )
        total = lesson.loss()
        if isinstance(visitor, WithGate):
            total = total + visitor.gate_loss()
        return Losses(total, lesson.by_layer, lesson.guide, lesson.unlabelled)
