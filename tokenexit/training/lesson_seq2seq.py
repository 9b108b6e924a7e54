"""One batch of pairs through an encoder-decoder under an objective, for Accelerate to wrap."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tokenexit.decoding.teach import PairBatch, teach
from tokenexit.models.encode_sources import encode_sources
from tokenexit.models.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.objectives import Objective, Occasion
from tokenexit.objectives.base import check_heads
from tokenexit.objectives.equilibrium import balanced
from tokenexit.training.batches import MicroBatch
from tokenexit.training.depth_lesson import WithDepth
from tokenexit.training.gate_lesson import WithGate
from tokenexit.training.lesson import Losses


class Seq2SeqClassroom(nn.Module):
    """Holds the model being trained; ``forward`` gives a loss.

    Args:
        model: The generator.
        objective: How its exits are trained.
        gradient_equilibrium: Whether to balance the exits' gradients.
    """

    def __init__(
        self,
        model: ExitModelForSeq2SeqLM,
        objective: Objective,
        gradient_equilibrium: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        check_heads(objective, None)
        self.learned = objective.learned(model.settings.exit_layers)
        self.objective = objective
        self._balance = gradient_equilibrium

    def forward(
        self, part: MicroBatch, step: int, progress: float, seed: int, outer: bool = False
    ) -> Losses:
        """Loss of one micro-batch, summed over target tokens.

        Args:
            part: Its pairs.
            step: Optimiser step.
            progress: Share of the training that is done.
            seed: Seed of the run.
            outer: By what the objective's upper level is judged, instead of the loss.
        """
        model = self.model
        pad = model.network.config.pad_token_id or 0
        batch = PairBatch.of(part.sentences, pad, model.device)
        exits = model.settings.exit_layers
        lesson = self.objective.begin(
            Occasion(
                step=step,
                progress=progress,
                seed=seed,
                exit_layers=exits,
                num_words=int(batch.real.sum()),
                sentence=torch.tensor(part.places, device=model.device),
                learned=self.learned,
            ),
            outer,
        )
        gated = None if model.gate is None else WithGate(lesson, model.gate, True)
        pupil: Any = lesson if gated is None else gated
        deep = None if model.depth is None else WithDepth(pupil, int(batch.real.sum()))
        fork = balanced(lesson.fork, exits) if self._balance else lesson.fork
        teach(
            model.decoder,
            model.exits(model.decoder),
            batch,
            pupil if deep is None else deep,
            fork=fork,
            skip=lesson.skip,
            memory=encode_sources(model, batch.input_ids, batch.attention_mask)[0],
        )
        total = lesson.loss()
        if gated is not None:
            total = total + gated.gate_loss()
        if deep is not None:
            total = total + deep.depth_loss()
        return Losses(total, lesson.by_layer, lesson.guide, lesson.unlabelled)
