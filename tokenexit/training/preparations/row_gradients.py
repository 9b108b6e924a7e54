"""States of whole batches of texts, and gradients with respect to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.errors import UserError
from tokenexit.halting import PackedBatch
from tokenexit.models.encoders.exit_encoder import ExitEncoder


@dataclass(frozen=True, eq=False)
class Passed:
    """A batch that went through the whole network, padded.

    Attributes:
        states: What entered the first layer and what left each, ``[B, M, H]``.
        cell: Where the token rows of the batch stand in them.
        logits: What the top says of words, ``[W, C]``.
    """

    states: Sequence[Tensor]
    cell: tuple[Tensor, Tensor]
    logits: Tensor

    def gradient(self, value: Tensor, layer: int) -> Tensor:
        """Of a number with respect to the states after a layer, 0 for what entered the first.

        Returns:
            ``[T, H]``; no parameter gets a gradient.
        """
        return torch.autograd.grad(value, self.states[layer])[0][self.cell]

    def rows(self, layer: int) -> Tensor:
        """States after a layer, ``[T, H]``, without gradients."""
        return self.states[layer].detach()[self.cell]


def encoder_of(model: Any, name: str) -> ExitEncoder:
    """The model, if it is one whose rows can be weighed.

    Raises:
        UserError: It generates text.
    """
    if not isinstance(model, ExitEncoder):
        raise UserError(
            f"The preparation {name} looks at the rows of taggers and text classifiers; a "
            f"{type(model).__name__} has none of those."
        )
    return model


def passed(model: ExitEncoder, batch: PackedBatch) -> Passed:
    """Send a batch through, recording gradients of states.

    Args:
        model: In evaluation mode.
        batch: Packed texts.
    """
    backbone = model.backbone
    sequence = torch.from_numpy(batch.row_sequence).to(model.device)
    shape, cell = (batch.num_sequences, int(batch.lengths.max())), (sequence, batch.positions)

    def padded(values: Tensor) -> Tensor:
        return values.new_zeros(shape).index_put(cell, values)

    real = padded(torch.ones_like(batch.input_ids))
    segments = () if batch.segments is None else (padded(batch.segments),)
    with torch.enable_grad():
        hidden = backbone.embed(padded(batch.input_ids), padded(batch.positions), *segments)
        states = [hidden.detach().requires_grad_()]
        for index in range(backbone.num_layers):
            hidden = states[-1]
            states.append(backbone.layer(index, hidden, backbone.context(hidden, real)))
        first = states[-1][cell][torch.from_numpy(batch.first_row).to(model.device)]
        return Passed(states, cell, backbone.classify(backbone.finish(first)))


def cross_entropy(logits: Tensor, batch: PackedBatch) -> Tensor:
    """Summed over labelled words."""
    assert batch.word_target is not None
    return F.cross_entropy(logits.float(), batch.word_target, ignore_index=-100, reduction="sum")
