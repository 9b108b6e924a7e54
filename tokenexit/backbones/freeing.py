"""Letting go of weights that a twin has copies of in fewer bits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import nn

from tokenexit.backbones.reduced import Reduced
from tokenexit.errors import UserError


class Copied(Protocol):
    """A twin."""

    @property
    def copied(self) -> Sequence[tuple[nn.Linear, Reduced]]:
        """Linear layers of the network with the layers that took their places."""
        ...


def let_go(model: nn.Module, twin: Copied, precision: str | None) -> None:
    """Free the weights of linear layers that have a copy, unless others use them too.

    Such as the embeddings of a model whose vocabulary head is tied to them.

    Args:
        model: The network.
        twin: Has the copies.
        precision: Of the copies, for messages.

    Raises:
        UserError: It has none.
    """
    if not twin.copied:
        raise UserError(
            f"free=True lets go of float32 weights, and {precision or 'this precision'} computes "
            'with them: give precision="int8" or "bf16" on a CPU with it.'
        )
    holders = Counter(
        id(weight)
        for part in model.modules()
        for weight in part._parameters.values()
        if weight is not None
    )
    ours = Counter(id(linear.weight) for linear, _ in twin.copied)
    for linear, product in twin.copied:
        product.finalize()
        weight = linear.weight
        if not weight.is_meta and holders[id(weight)] == ours[id(weight)]:
            empty = nn.Parameter(torch.empty_like(weight, device="meta"), weight.requires_grad)
            linear.weight = product.weight = empty


def freed(model: nn.Module) -> bool:
    """Whether weights of a model have been let go."""
    return any(weight.is_meta for weight in model.parameters())


def gone(what: str) -> UserError:
    """The error of whatever needs weights that are gone."""
    return UserError(
        f"This model cannot be {what}: its float32 weights were let go with free=True. Load it "
        "again with from_pretrained."
    )
