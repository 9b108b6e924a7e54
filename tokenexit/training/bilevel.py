"""Settings that are learned one level above the weights (LeeBERT, LECO).

The upper level (weights of losses, choices of an architecture) is to be set so that a step of the
weights on some texts lowers the loss on others. Its gradient is taken through one such step, to
first order in the step's length, by a second derivative. DARTS (Liu et al. 2019) takes the finite
difference of two losses instead; where exits learn from answers that stay fixed, that would count
the teachers as moving with their pupils. Each time the texts of one micro-batch are halved: one
half teaches the weights, the other judges. The papers split the training set for good; here all of
it trains the weights as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from tokenexit.errors import UserError
from tokenexit.training.batches import MicroBatch, labelled_words

if TYPE_CHECKING:
    from accelerate import Accelerator


def upper_parameters(module: nn.Module) -> list[nn.Parameter]:
    """What the upper level sets: the objective's own parameters, and the heads' architecture.

    A form that has been derived is set no more.
    """
    learned: nn.Module | None = getattr(module, "learned", None)
    found = [] if learned is None else list(learned.parameters())
    return [*found, *_architecture(module)]


def _architecture(module: nn.Module) -> Iterator[nn.Parameter]:
    for part in module.modules():
        chosen = getattr(part, "architecture", None)
        if isinstance(chosen, nn.Parameter) and getattr(part, "searching", True):
            yield chosen


def upper_gradients(
    module: nn.Module,
    part: MicroBatch,
    step: int,
    progress: float,
    seed: int,
    rate: float,
) -> list[Tensor]:
    """Gradients of the upper level on one micro-batch, cut in two; nothing is changed.

    Args:
        module: A ``LossModule``, not wrapped.
        part: Of two texts or more; with fewer, the gradients are zero.
        step: Optimiser step.
        progress: Share of the training that is done.
        seed: Seed of the run.
        rate: Length of the step of the weights that is looked through.
    """
    upper = upper_parameters(module)
    held, used = _halves(part)
    if not held.words or not used.words:
        return [torch.zeros_like(p) for p in upper]
    above = {id(p) for p in upper}
    lower = [p for p in module.parameters() if p.requires_grad and id(p) not in above]
    told = (step, progress, seed)
    with sdpa_kernel(SDPBackend.MATH):  # the other kernels have no second derivative
        judged = module(held, *told, outer=True).total / held.words
        found = torch.autograd.grad(judged, [*upper, *lower], allow_unused=True)
        taught = module(used, *told).total / used.words
        slopes = torch.autograd.grad(taught, lower, create_graph=True, allow_unused=True)
        # What a step on the one half takes off the loss on the other, per length of the step.
        pairs = zip(slopes, found[len(upper) :], strict=True)
        meeting = [(s * d).sum() for s, d in pairs if s is not None and d is not None]
        shared = torch.stack(meeting).sum()
        through = torch.autograd.grad(shared, upper, allow_unused=True)
    direct = found[: len(upper)]
    return [
        _value(now, weight) - rate * _value(later, weight)
        for weight, now, later in zip(upper, direct, through, strict=True)
    ]


def set_gradients(upper: list[nn.Parameter], found: list[Tensor], accelerator: Accelerator) -> None:
    """Give the upper level its gradients, averaged over processes.

    Raises:
        UserError: Training in fp16, whose scaling of losses they know nothing of.
    """
    if accelerator.mixed_precision == "fp16":
        raise UserError(
            "This objective learns on two levels, which train.precision=fp16 does not serve; use "
            "bf16 or no."
        )
    for parameter, gradient in zip(upper, found, strict=True):
        parameter.grad = torch.as_tensor(accelerator.reduce(gradient, reduction="mean"))


def _value(gradient: Tensor | None, weight: Tensor) -> Tensor:
    return torch.zeros_like(weight) if gradient is None else gradient


def _halves(part: MicroBatch) -> tuple[MicroBatch, MicroBatch]:
    def take(first: int) -> MicroBatch:
        chosen = part.sentences[first::2] or part.sentences[:1]
        return MicroBatch(
            chosen,
            part.places[first::2] or part.places[:1],
            sum(labelled_words(sentence) for sentence in part.sentences[first::2]),
            texts=part.texts[first::2] or part.texts[:1],
        )

    return take(0), take(1)
