"""Gradients that must not oppose each other (RomeBERT, GAML-BERT)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tokenexit.errors import UserError
from tokenexit.training.loss_module import Losses

if TYPE_CHECKING:
    from accelerate import Accelerator


class Projection:
    """Adds up two gradients of a step, and leaves their sum without a conflict.

    For each parameter, what opposes the guide's gradient is taken out of the gradient of the rest:
    RomeBERT's gradient regularisation (Geng et al. 2021), where the top is the guide. Its released
    code compares all matrices of the layers below the last as one, and no other weights.

    Args:
        module: What is trained, as wrapped for training.
        accelerator: Whose processes share the step.
        together: Parameters that are compared as one, the others not at all; each alone when None.

    Raises:
        UserError: Training in fp16, whose scaling of losses it knows nothing of.
    """

    def __init__(
        self,
        module: nn.Module,
        accelerator: Accelerator,
        together: Collection[nn.Parameter] | None = None,
    ) -> None:
        if accelerator.mixed_precision == "fp16":
            raise UserError(
                "This objective projects gradients, which train.precision=fp16 does not serve; "
                "use bf16 or no."
            )
        self._accelerator = accelerator
        self._parameters = [p for p in module.parameters() if p.requires_grad]
        chosen = None if together is None else {id(parameter) for parameter in together}
        self._together = None if chosen is None else [id(p) in chosen for p in self._parameters]
        self._guide = [torch.zeros_like(p) for p in self._parameters]
        self._rest = [torch.zeros_like(p) for p in self._parameters]
        self._reached = [False] * len(self._parameters)

    def add(self, losses: Losses, scale: float) -> None:
        """The gradients of one micro-batch.

        Args:
            losses: With a guide.
            scale: Of both parts.
        """
        assert losses.guide is not None
        rest = losses.total - losses.guide
        for loss, sums, keep in ((losses.guide, self._guide, True), (rest, self._rest, False)):
            if not loss.requires_grad:
                continue
            found = torch.autograd.grad(
                loss * scale, self._parameters, retain_graph=keep, allow_unused=True
            )
            for place, gradient in enumerate(found):
                if gradient is not None:
                    sums[place].add_(gradient)
                    self._reached[place] = True

    def finish(self) -> None:
        """Set the gradient of every parameter that has one, the same in all processes."""
        if self._accelerator.num_processes > 1:
            self._guide = [_mean(self._accelerator, g) for g in self._guide]
            self._rest = [_mean(self._accelerator, g) for g in self._rest]
            told = torch.tensor(self._reached, device=self._accelerator.device).float()
            self._reached = [share > 0 for share in _mean(self._accelerator, told).tolist()]
        combined = without_conflict(self._guide, self._rest, self._together)
        pairs = zip(self._parameters, combined, self._reached, strict=True)
        for parameter, gradient, known in pairs:
            # None elsewhere: a gradient of zero would still move a weight by decay and momentum.
            parameter.grad = gradient if known else None


def without_conflict(
    guide: Sequence[Tensor], rest: Sequence[Tensor], together: Sequence[bool] | None = None
) -> list[Tensor]:
    """Sums of gradients in which nothing of ``rest`` opposes ``guide``.

    Args:
        guide: Gradients that stay as they are.
        rest: Gradients of the same parameters; where one opposes its guide, its component along
            the guide is dropped.
        together: Which of them are compared as one, the others not at all; each alone when None.
    """
    if together is not None:
        parts = [*zip(guide, rest, together, strict=True)]
        along = sum((lead * other).sum() for lead, other, one in parts if one)
        size = sum(lead.square().sum() for lead, _, one in parts if one)
        opposed = torch.as_tensor(along).clamp_max(0) / torch.as_tensor(size).clamp_min(1e-20)
        return [lead + other - (opposed * lead if one else 0) for lead, other, one in parts]
    combined = []
    for leading, other in zip(guide, rest, strict=True):
        along = (leading * other).sum()
        opposing = along.clamp_max(0) / leading.square().sum().clamp_min(1e-20)
        combined.append(leading + other - opposing * leading)
    return combined


def matrices_below_the_last(model: Any) -> list[nn.Parameter]:
    """Matrices of all layers but the last; of what has no layers to tell apart, of its network."""
    backbone = getattr(model, "backbone", None)
    stack = getattr(backbone, "stack", "")
    layers: Any = backbone.base.get_submodule(stack) if backbone is not None and stack else None
    parts = [model.network] if layers is None else list(layers)[:-1]
    return [p for part in parts for p in part.parameters() if p.ndim > 1]


def _mean(accelerator: Accelerator, gradient: Tensor) -> Tensor:
    return torch.as_tensor(accelerator.reduce(gradient, reduction="mean"))
