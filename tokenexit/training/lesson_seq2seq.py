"""One batch of pairs through an encoder-decoder under an objective, for Accelerate to wrap."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tokenexit.decoding.teach import PairBatch, teach
from tokenexit.models.generation.encode_sources import encode_sources
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.objectives import Objective, Occasion
from tokenexit.objectives.base import check_heads
from tokenexit.objectives.equilibrium import balanced
from tokenexit.training.batches import MicroBatch
from tokenexit.training.depth_lesson import WithDepth
from tokenexit.training.gate_lesson import WithGate
from tokenexit.training.hold import holds
from tokenexit.training.lesson import Losses


class Seq2SeqClassroom(nn.Module):
    """Holds the model being trained; ``forward`` gives a loss.

    Args:
        model: The generator.
        objective: How its exits are trained.
        gradient_equilibrium: Whether to balance the exits' gradients.
        pad_to: Lengths of sources and of targets are padded to multiples of so many tokens.
    """

    def __init__(
        self,
        model: ExitModelForSeq2SeqLM,
        objective: Objective,
        gradient_equilibrium: bool = False,
        pad_to: int = 1,
    ) -> None:
        super().__init__()
        self.model = model
        check_heads(objective, None)
        self.learned = objective.learned(model.settings.exit_layers)
        self.objective = objective
        self._balance, self._pad_to = gradient_equilibrium, pad_to

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
        batch = PairBatch.of(part.sentences, pad, model.device, self._pad_to)
        sources = batch.input_ids, batch.attention_mask
        padded = _padded(part, batch.input_ids.shape[1], model.device)
        words, cells = batch.num_words, batch.cells_on_host
        exits = model.settings.exit_layers
        lesson = self.objective.begin(
            Occasion(
                step=step,
                progress=progress,
                seed=seed,
                exit_layers=exits,
                num_words=words,
                sentence=torch.tensor(part.places),
                learned=self.learned,
                device=model.device,
                word_sentence=cells // batch.extent,
                word_place=cells % batch.extent,
            ),
            outer,
        )
        gated = None if model.gate is None else WithGate(lesson, model.gate, words, True)
        pupil: Any = lesson if gated is None else gated
        deep = None if model.depth is None else WithDepth(pupil, words)
        held = holds(
            *(lesson, model.device, model.decoder.num_layers, model.decoder.vocab_size),
            exits=exits[:-1],
            gate=None if gated is None else model.gate,
        )
        fork = balanced(lesson.fork, exits) if self._balance else lesson.fork
        teach(
            model.decoder,
            model.exits(model.decoder),
            batch,
            pupil if deep is None else deep,
            fork=fork,
            skip=lesson.skip,
            memory=encode_sources(model, *sources, padded=padded)[0],
            compact=not held,
        )
        total = lesson.loss()
        if gated is not None:
            total = total + gated.gate_loss()
        if deep is not None:
            total = total + deep.depth_loss()
        return Losses(total, lesson.by_layer, lesson.guide, lesson.unlabelled)


def _padded(part: MicroBatch, width: int, device: torch.device) -> bool | None:
    """Whether any source of a part is padded; None on a CPU, where asking costs nothing."""
    if device.type == "cpu":
        return None
    lengths = {len(pair.input_ids) for pair in part.sentences}
    return len(lengths) > 1 or width > max(lengths)
