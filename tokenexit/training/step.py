"""One optimiser step: forward and backward over a share of the texts, and one update."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tokenexit.errors import UserError
from tokenexit.training.batches import TrainingStep
from tokenexit.training.bilevel import set_gradients, upper_gradients, upper_parameters
from tokenexit.training.config import TrainConfig
from tokenexit.training.loss_module import Losses
from tokenexit.training.projection import Projection, matrices_below_the_last

if TYPE_CHECKING:
    from accelerate import Accelerator

Sums = dict[int | str, tuple[torch.Tensor, torch.Tensor]]
"""Cross-entropy and labelled words of each exit by its layer, summed; of further passes over the
batch, ``pass 2`` and so on, their losses."""


def one_step(
    step: TrainingStep,
    wrapped: nn.Module,
    optimizer: Any,
    accelerator: Accelerator,
    config: TrainConfig,
    total: int,
    seed: int,
    rate: float,
) -> Sums:
    """Forward and backward over this process's micro-batches, and one update.

    Args:
        step: What is learned from.
        wrapped: The ``LossModule``, as ``accelerator.prepare`` has wrapped it.
        optimizer: Likewise.
        accelerator: Whose processes share the step.
        config: Settings.
        total: Steps of the whole training.
        seed: Seed of the run.
        rate: Learning rate of the network at this step.

    Returns:
        Of each exit that had a loss, its cross-entropy and its labelled words, and the loss of each
        further pass, all summed over this process's share and where they were computed: nobody
        waits for them here.
    """
    sums: Sums = {}
    last = len(step.micro_batches) - 1
    progress = step.number / total
    projection: Projection | None = None
    held: Any = accelerator.unwrap_model(wrapped)
    projects = held.objective.projects
    as_one = projects and getattr(held.objective, "together", False)
    together = matrices_below_the_last(held.model) if as_one else None
    for number, part in enumerate(step.micro_batches):

        def learn(part: Any = part) -> None:
            nonlocal projection
            with accelerator.autocast():
                losses = wrapped(part, step.number, progress, seed)
            taught, mine = step.words, part.words
            if losses.unlabelled:
                taught, mine = step.rows, part.rows
            if mine and not losses.total.requires_grad:
                raise UserError(
                    f"train.objective={config.objective['name']} teaches nothing that this phase "
                    f"trains: it freezes {', '.join(config.freeze)}. Freeze less, or choose "
                    "another objective."
                )
            # Gradients are averaged over processes; the mean over all words is wanted.
            scale = accelerator.num_processes / max(taught, 1) if mine else 0.0
            if losses.guide is None:
                accelerator.backward(losses.total * scale)
            else:
                projection = projection or Projection(wrapped, accelerator, together)
                projection.add(losses, scale)
            for key, (loss, count) in noted(losses).items():
                before = sums.get(key, (torch.zeros_like(loss), torch.zeros_like(count)))
                sums[key] = (before[0] + loss, before[1] + count)

        if number < last or projects:
            with accelerator.no_sync(wrapped):
                learn()
        else:
            learn()
    if projection is not None:
        projection.finish()
    module: Any = accelerator.unwrap_model(wrapped)
    every = module.objective.upper_every
    upper = upper_parameters(module) if every else []
    for parameter in upper:  # set by the upper level alone, not by the loss of the step
        parameter.grad = None
    if config.clip:
        accelerator.clip_grad_norm_(wrapped.parameters(), config.clip)
    if upper and step.number % every == 0:
        told = (step.number, progress, seed, rate)
        found = upper_gradients(module, step.micro_batches[0], *told)
        set_gradients(upper, found, accelerator)
    optimizer.step()
    module.objective.stepped(module.learned)
    optimizer.zero_grad(set_to_none=True)
    return sums


def noted(losses: Losses) -> Sums:
    """What one micro-batch adds to the sums of its step."""
    further = enumerate(losses.by_pass, start=2)
    passes: Sums = {f"pass {n}": (loss, torch.zeros_like(loss)) for n, loss in further}
    return passes | dict(losses.by_layer)
