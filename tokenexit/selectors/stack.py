"""All selectors of a model: two at each layer, for its heads and for its neurons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokenexit.errors import UserError, check_names
from tokenexit.widths import Widths

PARTS = ("heads", "neurons")
"""What is selected of a layer."""

SETTINGS = ("inner", "blocks")


class Selector(nn.Module):
    """The predictor of EBERT (Liu et al. 2021): a hidden layer with batch norm and ReLU.

    A text that is alone in a training batch is normed by what was seen so far.

    Args:
        width: Width of the states, ``H``.
        inner: Width of the hidden layer.
        outputs: Heads, or blocks of neurons, ``K``.
    """

    def __init__(self, width: int, inner: int, outputs: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, inner)
        self.norm = nn.BatchNorm1d(inner)
        self.project = nn.Linear(inner, outputs)

    def forward(self, hidden: Tensor, /) -> Tensor:
        """A state of each text, ``[S, H]``, to log-odds, ``[S, K]``, in float32 at least."""
        inner, norm = self.dense(hidden), self.norm
        if norm.training and len(inner) == 1:
            told = norm.running_mean, norm.running_var, norm.weight, norm.bias
            inner = F.batch_norm(inner, *told, training=False, eps=norm.eps)
        else:
            inner = norm(inner)
        odds = self.project(inner.relu())
        return odds.to(torch.promote_types(odds.dtype, torch.float32))

    @property
    def macs(self) -> int:
        """Multiply-accumulates per text."""
        return self.dense.weight.numel() + self.project.weight.numel()


class WidthSelectors(nn.Module):
    """Selectors at every layer, with weights of their own.

    Args:
        config: Such as ``{"inner": 64, "blocks": 24}``; ``True`` for these. Neurons that lie side
            by side are selected together, ``blocks`` of them a layer; each alone where it is None.
        width: Width of the states.
        heads: Heads of each layer, ``[L]``.
        neurons: Neurons of each, likewise.

    Raises:
        UserError: Unknown setting or a bad value.
    """

    def __init__(
        self,
        config: Mapping[str, Any] | bool,
        width: int,
        heads: Sequence[int],
        neurons: Sequence[int],
    ) -> None:
        super().__init__()
        inner, blocks = _settings(config)
        self.sizes = [min(blocks or count, count) for count in neurons]
        """Blocks of each layer's neurons."""
        self._neurons = list(neurons)
        outputs = {"heads": heads, "neurons": self.sizes}
        self.selectors = nn.ModuleDict(
            {
                part: nn.ModuleList(Selector(width, inner, count) for count in outputs[part])
                for part in PARTS
            }
        )

    def at(self, layer: int, part: str) -> Selector:
        """One of them; ``layer`` is counted from 1."""
        stack: Any = self.selectors[part]
        return stack[layer - 1]

    def macs(self, layer: int) -> int:
        """Multiply-accumulates of a layer's, per text."""
        return sum(self.at(layer, part).macs for part in PARTS)

    def edges(self, layer: int) -> list[int]:
        """Where the blocks of a layer's neurons begin, and where the last ends, ``[K + 1]``."""
        count, size = self._neurons[layer - 1], self.sizes[layer - 1]
        return [place * count // size for place in range(size + 1)]


def check_selectors(widths: Widths, config: Any) -> None:
    """Refuse to select what nothing speaks of.

    Args:
        widths: What is computed.
        config: ``heads.selectors`` of the model.

    Raises:
        UserError: Widths are selected and there are no selectors.
    """
    if widths.selected is not None and not config:
        raise UserError(
            "Widths are selected for each text by selectors, and the model has none: train one "
            "with heads.selectors=true, or the method ebert; or give widths by share."
        )


def _settings(config: Any) -> tuple[int, int | None]:
    given = {} if config is True else config
    if not isinstance(given, Mapping):
        raise UserError(
            'heads.selectors must be true or a mapping such as {"inner": 64, "blocks": 24}, not '
            f"{config!r}."
        )
    check_names("setting of heads.selectors", given, SETTINGS)
    inner, blocks = given.get("inner", 64), given.get("blocks", 24)
    for name, value in (("inner", inner), ("blocks", blocks)):
        if (name, value) != ("blocks", None) and (type(value) is not int or value < 1):
            raise UserError(f"heads.selectors.{name} must be a whole number from 1, not {value!r}.")
    return inner, blocks
