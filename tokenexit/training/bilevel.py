"""Settings that are learned one level above the weights, on texts held back (LeeBERT, LECO).

The upper level (weights of losses, choices of an architecture) is to be set so that a step of the
weights on some texts lowers the loss on others. Its gradient is taken through one such step, by
the finite difference of DARTS (Liu et al. 2019): one backward pass on the held-back half, and two
passes over the other half with the weights moved a little to either side.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from tokenexit.errors import UserError
from tokenexit.training.batches import MicroBatch, labelled_words

STEP = 0.01
"""Length of the move to either side, over all weights together."""


def upper_parameters(lessons: nn.Module) -> list[nn.Parameter]:
    """What the upper level sets: the objective's own parameters, and the heads' architecture.

    A form that has been derived is set no more.
    """
    learned: nn.Module | None = getattr(lessons, "learned", None)
    found = [] if learned is None else list(learned.parameters())
    return [*found, *_architecture(lessons)]


def _architecture(lessons: nn.Module) -> Iterator[nn.Parameter]:
    for module in lessons.modules():
        chosen = getattr(module, "architecture", None)
        if isinstance(chosen, nn.Parameter) and int(getattr(module, "derived", -1)) < 0:
            yield chosen


def upper_gradients(
    lessons: nn.Module,
    part: MicroBatch,
    step: int,
    progress: float,
    seed: int,
    rate: float,
) -> list[Tensor]:
    """Gradients of the upper level on one micro-batch, cut in two; the weights stay as they are.

    Args:
        lessons: A classroom, not wrapped.
        part: Of two texts or more; with fewer, the gradients are zero.
        step: Optimiser step.
        progress: Share of the training that is done.
        seed: Seed of the run.
        rate: Length of the step of the weights that is looked through.
    """
    upper = upper_parameters(lessons)
    held, used = _halves(part)
    if not held.words or not used.words:
        return [torch.zeros_like(p) for p in upper]
    above = {id(p) for p in upper}
    lower = [p for p in lessons.parameters() if p.requires_grad and id(p) not in above]
    told = (step, progress, seed)
    loss = lessons(held, *told, outer=True).total / held.words
    found = torch.autograd.grad(loss, [*upper, *lower], allow_unused=True)
    direct = [torch.zeros_like(p) if g is None else g for p, g in zip(upper, found, strict=False)]
    direction = [
        torch.zeros_like(p) if g is None else g
        for p, g in zip(lower, found[len(upper) :], strict=True)
    ]
    size = torch.stack([d.norm() for d in direction]).norm()
    reach = STEP / size.clamp_min(1e-12)
    before = [p.detach().clone() for p in lower]
    sides = []
    for sign in (1.0, -1.0):
        with torch.no_grad():
            for p, start, d in zip(lower, before, direction, strict=True):
                p.copy_(start + sign * reach * d)
        # The same dropout on both sides: its noise would be divided by the short way between.
        with torch.random.fork_rng([d for d in {p.device for p in lower} if d.type == "cuda"]):
            moved = lessons(used, *told).total / used.words
        sides.append(torch.autograd.grad(moved, upper, allow_unused=True))
    with torch.no_grad():
        for p, start in zip(lower, before, strict=True):
            p.copy_(start)
    return [
        now - rate * (_value(high, now) - _value(low, now)) / (2 * reach)
        for now, high, low in zip(direct, *sides, strict=True)
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


def _value(gradient: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if gradient is None else gradient


def _halves(part: MicroBatch) -> tuple[MicroBatch, MicroBatch]:
    def take(first: int) -> MicroBatch:
        chosen = part.sentences[first::2] or part.sentences[:1]
        return MicroBatch(
            chosen,
            part.places[first::2] or part.places[:1],
            sum(labelled_words(sentence) for sentence in part.sentences[first::2]),
        )

    return take(0), take(1)
