"""A network of which other heads and neurons are computed at each call of a layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import get_ident
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tokenexit.backbones.base import Backbone
from tokenexit.backbones.channels import Channels
from tokenexit.backbones.inference_modules import is_linear
from tokenexit.backbones.layer_cost import LayerCost
from tokenexit.backbones.twin import with_parts
from tokenexit.errors import UserError

Spans = tuple[slice, ...]
"""Rows or columns that lie side by side, from the first to the last."""

FEW = 16
"""So many products with views of a matrix take no longer than copying its parts into one."""


class PartLinear(nn.Module):
    """A linear layer of which the part is chosen before each product, and cut out without a copy.

    Args:
        linear: The whole.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.whole = linear
        self.out_features, self.in_features = linear.out_features, linear.in_features
        self.rows: Spans | None = None
        """Outputs that are computed; None for all."""
        self.columns: Spans | None = None
        """Inputs that are given, likewise."""
        self.scale: Tensor | None = None
        """What inputs are multiplied with, for training, ``[..., in]``."""

    def forward(self, rows: Tensor) -> Tensor:
        """``[..., in chosen] -> [..., out chosen]``."""
        if self.scale is not None:
            rows = rows * self.scale
        if self.rows is None and self.columns is None:
            return self.whole(rows)
        weight, bias = self.whole.weight, self.whole.bias
        if self.columns is None:
            pieces = [slice(None)] if self.rows is None else self.rows
            weights = [weight[span] for span in pieces]
            biases = [None if bias is None else bias[span] for span in pieces]
            if len(pieces) > FEW:
                whole = None if bias is None else torch.cat(biases)  # type: ignore[arg-type]
                return F.linear(rows, torch.cat(weights), whole)
            made = [F.linear(rows, w, b) for w, b in zip(weights, biases, strict=True)]
            return made[0] if len(made) == 1 else torch.cat(made, dim=-1)
        if len(self.columns) > FEW:
            weight = torch.cat([weight[:, span] for span in self.columns], dim=1)
            return F.linear(rows, weight, bias)
        given = rows.split([span.stop - span.start for span in self.columns], dim=-1)
        total = F.linear(given[0], weight[:, self.columns[0]], bias)
        for part, span in zip(given[1:], self.columns[1:], strict=True):
            total = total + F.linear(part, weight[:, span])
        return total

    def part(self, outputs: slice) -> PartLinear:
        """A layer that gives some of what this one gives.

        Args:
            outputs: Which, counted among those that are chosen.
        """
        made, at = PartLinear(self.whole), 0
        found: list[slice] = []
        for span in self.rows or (slice(0, self.out_features),):
            first = span.start + max(outputs.start - at, 0)
            last = min(span.stop, span.start + outputs.stop - at)
            found += [slice(first, last)] if first < last else []
            at += span.stop - span.start
        made.rows = tuple(found)
        return made


@dataclass
class _Counts:
    """Heads and neurons that each layer has at the moment, in the place of ``Widths``."""

    of_heads: list[int]
    of_neurons: list[int]


class Choosing:
    """One view of a network, for one thread at a time; its weights are the network's.

    Args:
        backbone: A whole network.

    Raises:
        UserError: A layer to be cut is not a plain linear one.
    """

    def __init__(self, backbone: Backbone) -> None:
        self._channels = [backbone.channels(index) for index in range(backbone.num_layers)]
        parts: dict[nn.Module, PartLinear] = {}
        for one in self._channels:
            for linear in (*one.heads.into, one.heads.out, *one.neurons.into, one.neurons.out):
                if not is_linear(linear):
                    names = {module: name for name, module in backbone.model.named_modules()}
                    raise UserError(
                        f"{names.get(linear, 'A layer')} is not a plain linear layer but a "
                        f"{type(linear).__name__}, or has a hook: heads and neurons cannot be "
                        "selected text by text. Use float32, merge adapters, take hooks away, or "
                        "call model.use_widths(None)."
                    )
                parts.setdefault(linear, PartLinear(linear))
        self._parts = parts
        self._counts = _Counts(
            [one.heads.count for one in self._channels],
            [one.neurons.count for one in self._channels],
        )
        self.backbone: Any = type(backbone)(with_parts(backbone.model, parts))
        """Computes what was chosen last."""
        self.backbone.widths = self._counts

    def choose(
        self, index: int, heads: Sequence[int] | None, neurons: Spans | None = None
    ) -> Backbone:
        """The network with some heads and neurons of a layer.

        Args:
            index: Layer, from 0.
            heads: Their numbers, upwards; None for all.
            neurons: Where they lie; None for all.
        """
        found = self._channels[index]
        size = found.heads.size
        spans = None if heads is None else joined([(h * size, (h + 1) * size) for h in heads])
        self._cut(found.heads, spans)
        self._cut(found.neurons, neurons)
        wide = found.neurons.count if neurons is None else sum(s.stop - s.start for s in neurons)
        self._count(index, found.heads.count if heads is None else len(heads), wide)
        return self.backbone

    def weigh(self, index: int, weights: Tensor | None) -> Backbone:
        """The whole network, with weights on the neurons of a layer.

        Args:
            index: Layer, from 0.
            weights: Of each row, ``[A, neurons]``; None for none.
        """
        self._parts[self._channels[index].neurons.out].scale = weights
        return self.choose(index, None)

    def cost(self, index: int, heads: int, neurons: int) -> LayerCost:
        """What a layer of so many costs."""
        self._count(index, heads, neurons)
        return self.backbone.cost(index)

    def _count(self, index: int, heads: int, neurons: int) -> None:
        self._counts.of_heads[index], self._counts.of_neurons[index] = heads, neurons

    def _cut(self, channels: Channels, spans: Spans | None) -> None:
        rows = spans
        if spans is not None and channels.blocks > 1:
            block = channels.count * channels.size
            rows = tuple(
                slice(at * block + span.start, at * block + span.stop)
                for at in range(channels.blocks)
                for span in spans
            )
        for linear in channels.into:
            self._parts[linear].rows = rows
        self._parts[channels.out].columns = spans


_VIEWS: WeakKeyDictionary[Backbone, dict[int, Choosing]] = WeakKeyDictionary()
"""Of networks that nobody changes, by thread."""


def view_of(backbone: Backbone) -> Choosing:
    """A view of a network, kept for the thread where the network is a twin for inference.

    Args:
        backbone: A whole network.
    """
    if torch.is_grad_enabled() or backbone.selected is None:
        return Choosing(backbone)
    views, thread = _VIEWS.setdefault(backbone, {}), get_ident()
    if thread not in views:
        views[thread] = Choosing(backbone)
    return views[thread]


def joined(pairs: Sequence[tuple[int, int]]) -> Spans:
    """Begins and ends, upwards, as few spans as they make."""
    found: list[tuple[int, int]] = []
    for start, stop in pairs:
        if found and found[-1][1] == start:
            start, _ = found.pop()
        found.append((start, stop))
    return tuple(slice(start, stop) for start, stop in found)
