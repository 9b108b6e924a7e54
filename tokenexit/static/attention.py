"""Attention of the rows that ask: sentences in a padded grid, or end to end."""

from __future__ import annotations

import inspect
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from tokenexit.backbones import Backbone
from tokenexit.halting.attention import read_projected
from tokenexit.static.plan import Plan

_END_TO_END = "torch.nn.attention.varlen"
_WIDEST = 256


def attend(backbone: Backbone, index: int, rows: Tensor, source: Tensor, met: Plan) -> Tensor:
    """What rows read from their sentences at one layer, ``[A, H] -> [A, H]``.

    Args:
        backbone: The network.
        index: Layer, from 0.
        rows: States of the rows that ask, ``[A, H]``.
        source: States of the rows that are read, ``[R, H]``.
        met: Who meets whom.
    """
    queries = backbone.queries(index, rows, met.asking.at)
    keys, values = backbone.keys_values(index, source, met.read.at)
    if end_to_end(backbone, rows):
        return _end_to_end(backbone, index, queries, keys, values, met)
    asking, read = met.asking, met.read
    found = read_projected(
        backbone,
        index,
        queries[asking.grid],
        keys[read.grid],
        values[read.grid],
        met.places if _placed(backbone) else None,
        met.mask,
        backbone.eager,
    )
    return found.flatten(2).flatten(0, 1)[asking.out]


def end_to_end(backbone: Backbone, rows: Tensor) -> bool:
    """Whether sentences may attend end to end: on a GPU, in half precision, without a bias."""
    width = backbone.hidden_size // backbone.num_heads
    return (
        rows.device.type == "cuda"
        and rows.dtype in (torch.float16, torch.bfloat16)
        and not (backbone.eager or _placed(backbone))
        and width % 8 == 0
        and width <= _WIDEST
        and find_spec(_END_TO_END) is not None
    )


def _placed(backbone: Backbone) -> bool:
    return type(backbone).bias is not Backbone.bias


def _end_to_end(
    backbone: Backbone, index: int, queries: Tensor, keys: Tensor, values: Tensor, met: Plan
) -> Tensor:
    """No padding at all. What comes back for rows that are nobody's may be no number."""
    attention, options = _kernel()
    queries, keys, values = (
        part.unflatten(-1, (backbone.heads(index), -1)) for part in (queries, keys, values)
    )
    offsets, most = met.offsets, (met.asking.width, met.read.width)
    scale = backbone.scaling(index)
    return attention(queries, keys, values, *offsets, *most, scale=scale, **options).flatten(-2)


@cache
def _kernel() -> tuple[Any, dict[str, int]]:
    """Torch's kernel, and what makes its sums the same in every batch, where it can be told."""
    from torch.nn.attention.varlen import varlen_attn

    told = {"num_splits": 1}
    known = inspect.signature(varlen_attn).parameters
    return varlen_attn, {name: value for name, value in told.items() if name in known}
