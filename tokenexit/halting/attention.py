"""Attention of the active rows: one call a group, projected or absorbed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.backbones import Absorbable, Backbone
from tokenexit.errors import UserError
from tokenexit.halting.layout import Group, Layout, take
from tokenexit.halting.received import Received
from tokenexit.halting.weighted import weighted_softmax

CACHED = 1 << 20
"""So many attention weights are made at a time."""

FEW = 48
"""So many rows more in a product take no longer than making another."""


def attend(
    backbone: Backbone,
    index: int,
    active: Tensor,
    rows: Tensor,
    active_pos: Tensor,
    row_pos: Tensor,
    layout: Layout,
    *,
    asking: Tensor | None = None,
    eager: bool = False,
    received: Received | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """What the active rows read from their sentences at one layer, ``[A, H] -> [A, H]``.

    Args:
        backbone: The model.
        index: Layer, from 0.
        active: States of the rows that ask, ``[A, H]``.
        rows: States of all rows that may be attended to, ``[R, H]``.
        active_pos: Places of the asking rows in their texts, ``[A]``.
        row_pos: Places of all rows, ``[R]``.
        layout: Who meets whom.
        asking: Which of all rows ask, ``[A]``; None for all, or if unknown.
        eager: Products and softmax one by one, as transformers' eager attention.
        received: If given, is told the weights it asks for, if all, ``eager`` is meant; nothing is
            absorbed.
        weights: What each of all rows weighs inside the softmax, ``[R]``; nothing is absorbed.
    """
    keys = values = key_pos = None
    if (
        layout.projected is None
        and layout.num_projected
        and (active is rows or (asking is not None and _joint(backbone, index, active, rows)))
    ):
        key_pos = row_pos
        queries, keys, values = backbone.queries_keys_values(index, rows, row_pos)
        if active is not rows:
            queries = queries[asking]
    else:
        queries = backbone.queries(index, active, active_pos)
    if keys is None and layout.num_projected:
        source, key_pos = rows, row_pos
        if layout.projected is not None:
            source, key_pos = rows[layout.projected], row_pos[layout.projected]
        keys, values = backbone.keys_values(index, source, key_pos)
    parts = []
    placed = type(backbone).bias is not Backbone.bias
    for group in layout.groups:
        asked = take(queries, group.query_slice, group.query_index, group.size)
        if group.absorbed:
            matrices = backbone.absorbable(index)
            if matrices is None:
                raise UserError("This family cannot read unprojected states.")
            source = take(rows, group.key_slice, group.key_index, group.size)
            read = _absorbed(backbone, index, matrices, asked, source, group)
        else:
            assert keys is not None and values is not None and key_pos is not None
            key = take(keys, group.key_slice, group.key_index, group.size)
            value = take(values, group.key_slice, group.key_index, group.size)
            places = None
            if placed:
                places = (
                    take(active_pos, group.query_slice, group.query_index, group.size),
                    take(key_pos, group.key_slice, group.key_index, group.size),
                )
            note = None if received is None else partial(received.add, group)
            share = None
            if weights is not None:
                share = take(weights, group.key_slice, group.key_index, group.size)
            of_first = received is not None and received.first
            how = group.key_mask, eager, note, of_first, share
            read = read_projected(backbone, index, asked, key, value, places, *how)
        read = read.reshape(group.size * group.queries, -1)
        parts.append(read if group.valid is None else read.index_select(0, group.valid))
    joined = parts[0] if len(parts) == 1 else torch.cat(parts)
    return joined if layout.inverse is None else joined.index_select(0, layout.inverse)


def _joint(backbone: Backbone, index: int, active: Tensor, rows: Tensor) -> bool:
    """Whether queries that nobody needs cost less than one more product."""
    return len(rows) - len(active) <= FEW and backbone.joint(index)


def _heads(rows: Tensor, heads: int) -> Tensor:
    return rows.view(*rows.shape[:-1], heads, -1).transpose(1, 2)


def read_projected(
    backbone: Backbone,
    index: int,
    asked: Tensor,
    key: Tensor,
    value: Tensor,
    places: tuple[Tensor, Tensor] | None,
    mask: Tensor | None,
    eager: bool,
    note: Callable[[Tensor], None] | None = None,
    of_first: bool = False,
    share: Tensor | None = None,
) -> Tensor:
    """Attention of padded sentences, ``[S, A, H] -> [S, A, heads, H / heads]``.

    Args:
        backbone: The model.
        index: Layer, from 0.
        asked: Queries, ``[S, A, H]``.
        key: ``[S, M, H]``.
        value: ``[S, M, H]``.
        places: Of queries and keys in their texts, ``[S, A]`` and ``[S, M]``; None where the
            family does not ask.
        mask: Which keys are real, ``[S, 1, 1, M]`` bool, or None when all are.
        eager: Products and softmax one by one.
        note: Is told the weights, their mean over heads, ``[S, A, M]``, for which ``eager`` is
            meant.
        of_first: Whether those of the first query of each will do, ``[S, 1, M]``.
        share: What each key weighs, ``[S, M]``, for which ``eager`` is meant.
    """
    heads = backbone.heads(index)
    asked, key, value = _heads(asked, heads), _heads(key, heads), _heads(value, heads)
    bias = None if places is None else backbone.bias(index, asked, key, *places)
    if bias is not None:
        mask = bias if mask is None else bias.masked_fill(~mask, float("-inf"))
    dropout, scale = backbone.attention_dropout(index), backbone.scaling(index)
    if eager or share is not None or (note is not None and not of_first):
        read, heard = [], []
        for some in _parts(asked, key):
            weights = _weights(asked[some], key[some], scale, _some(mask, some), _some(share, some))
            if note is not None:
                heard.append(_mean(weights[:, :, :1] if of_first else weights))
            weights = F.dropout(weights, dropout, training=dropout > 0)
            read.append(torch.matmul(weights, value[some]))
        if note is not None:
            note(_joined(heard))
        return _joined(read).transpose(1, 2)
    if note is not None:
        first = None if mask is None else mask[:, :, :1]
        note(_mean(_weights(asked[:, :, :1].detach(), key.detach(), scale, first)))
    return F.scaled_dot_product_attention(
        asked, key, value, attn_mask=mask, dropout_p=dropout, scale=scale
    ).transpose(1, 2)


def _parts(asked: Tensor, key: Tensor) -> list[slice]:
    """Texts whose attention weights together stay in a processor's cache.

    All at once where gradients need them afterwards, and on other devices.
    """
    size, heads, queries, _ = asked.shape
    if asked.requires_grad or key.requires_grad or asked.device.type != "cpu":
        return [slice(0, size)]
    step = max(1, CACHED // max(1, heads * queries * key.shape[2]))
    return [slice(start, start + step) for start in range(0, size, step)]


def _some(values: Tensor | None, texts: slice) -> Tensor | None:
    """Of these texts; of all where one serves for all."""
    return values if values is None or len(values) == 1 else values[texts]


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _mean(weights: Tensor) -> Tensor:
    """Over heads, without gradient, ``[S, heads, A, M] -> [S, A, M]``."""
    kind = torch.promote_types(weights.dtype, torch.float32)
    return weights.detach().to(kind).mean(dim=1)


def _weights(
    asked: Tensor, key: Tensor, scale: float, mask: Tensor | None, share: Tensor | None = None
) -> Tensor:
    """Attention weights, ``[S, heads, A, M]``."""
    scores = torch.matmul(asked, key.transpose(2, 3)).mul_(scale)
    if mask is not None and mask.dtype == torch.bool:
        scores = scores.masked_fill_(~mask, float("-inf"))
    elif mask is not None:
        scores = scores + mask
    if share is not None:
        return weighted_softmax(scores, share[:, None, None])
    return scores.softmax(dim=-1)


def _absorbed(
    backbone: Backbone,
    index: int,
    weights: Absorbable,
    asked: Tensor,
    source: Tensor,
    group: Group,
) -> Tensor:
    """Score with ``(q W_k) x^T`` and read ``(p x) W_v^T``, head by head, exact to rounding.

    The key bias adds one constant to all scores of a query, and cancels.
    """
    heads = backbone.heads(index)
    size, queries, _ = asked.shape
    width = source.shape[-1]
    # One batched product a head: [h, S*A, d] x [h, d, H].
    by_head = asked.reshape(size * queries, heads, -1).transpose(0, 1) * backbone.scaling(index)
    probes = torch.bmm(by_head, weights.key_weight.unflatten(0, (heads, -1)))
    probes = probes.view(heads, size, queries, width).transpose(0, 1)
    probes = probes.reshape(size, heads * queries, width)
    scores = torch.bmm(probes, source.transpose(1, 2))
    if group.key_mask is not None:
        scores = scores.masked_fill(~group.key_mask[:, 0], float("-inf"))
    read = torch.bmm(scores.softmax(dim=-1), source)
    read = read.view(size, heads, queries, width).transpose(0, 1)
    read = read.reshape(heads, size * queries, width)
    value_weight = weights.value_weight.unflatten(0, (heads, -1))
    out = torch.bmm(read, value_weight.transpose(1, 2)).transpose(0, 1)
    out = out.reshape(size, queries, -1)
    return out if weights.value_bias is None else out + weights.value_bias
