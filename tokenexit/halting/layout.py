"""Which queries meet which keys: sentences gathered into groups of similar length.

A group is one attention call. Sentences of one length need no padding and no index at all;
others are padded within their group only, never to the longest sentence of the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tokenexit.halting.packing import Index, Mask

# A sentence joins a group while its keys fill at least this share of the padded width:
# below it, padding costs more than one more attention call.
FILL = 0.7

# Absorbed products are long and thin, and reach a smaller share of a core's peak.
ABSORB_MARGIN = 0.8


@dataclass(frozen=True, eq=False)
class Group:
    """Sentences that attend in one call.

    Attributes:
        absorbed: Whether keys and values stay unprojected.
        size: Number of sentences ``S``.
        queries: Most queries of a sentence, ``A``.
        keys: Most keys of a sentence, ``M``.
        query_slice: Where the group's queries lie among all active rows, if contiguous.
        query_index: Otherwise their rows, ``[S, A]``, padded by repetition.
        key_slice: Where the group's keys lie, if contiguous and of one length.
        key_index: Otherwise their rows, ``[S, M]``, padded by repetition.
        key_mask: Which keys are real, ``[S, 1, 1, M]`` bool, or None when all are.
        valid: Places of real queries in the flattened ``[S * A]``, or None when all are.
    """

    absorbed: bool
    size: int
    queries: int
    keys: int
    query_slice: slice | None
    query_index: Tensor | None
    key_slice: slice | None
    key_index: Tensor | None
    key_mask: Tensor | None
    valid: Tensor | None


@dataclass(frozen=True, eq=False)
class Layout:
    """All groups of one layer.

    Attributes:
        groups: The attention calls.
        projected: Rows whose keys and values are projected, or None for all rows.
        num_projected: How many those are.
        inverse: Brings the groups' outputs, laid end to end, back into row order; None when
            they are in order already.
        pairs: Query-key pairs through projected keys.
        absorbed_rows: Queries that read unprojected states.
        absorbed_pairs: Their query-key pairs.
    """

    groups: tuple[Group, ...]
    projected: Tensor | None
    num_projected: int
    inverse: Tensor | None
    pairs: int
    absorbed_rows: int
    absorbed_pairs: int


def cheaper_absorbed(asking: Any, attended: Any, width: int, heads: int) -> Any:
    """Which sentences read unprojected states more cheaply: ``[S]`` bool, or one of numbers.

    Projecting costs ``2 n H^2 + 2 m n H`` for ``m`` queries on ``n`` rows; absorbing the
    projections into queries and read-outs ``2 m H^2 + 2 m n H heads``.
    """
    projected = attended * width + asking * attended
    absorbed = asking * width + asking * attended * heads
    return absorbed < ABSORB_MARGIN * projected


def arrange(asking: Index, attended: Index, absorbed: Mask, device: torch.device | str) -> Layout:
    """Group the sentences of a layer.

    Args:
        asking: Active rows of each sentence, ``[S]``; rows lie sentence after sentence.
        attended: Rows each sentence's queries may read, ``[S]``, likewise.
        absorbed: Which sentences read unprojected states, ``[S]`` bool.
        device: Where the indices are needed.
    """
    if len(asking) == 1:
        return alone(int(asking[0]), int(attended[0]), bool(absorbed[0]))

    def tensor(values: Index | Mask) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(device, non_blocking=True)

    query_start = np.cumsum(asking) - asking
    row_start = np.cumsum(attended) - attended
    some = bool(absorbed.any())
    projected = np.where(absorbed, 0, attended) if some else attended
    key_start = np.cumsum(projected) - projected
    groups: list[Group] = []
    members_in_order: list[Index] = []
    for kind in (False, True) if some else (False,):
        chosen = np.flatnonzero(absorbed == kind)
        start = row_start if kind else key_start
        for members in _similar(chosen, attended):
            members_in_order.append(members)
            groups.append(
                _group(
                    kind,
                    query_start[members],
                    asking[members],
                    start[members],
                    attended[members],
                    tensor,
                )
            )
    inverse = None
    if some:
        order = np.concatenate(members_in_order)
        if (np.diff(order) < 0).any():
            rows = np.concatenate(
                [query_start[s] + np.arange(int(asking[s])) for s in order.tolist()]
            )
            inverse = tensor(np.argsort(rows))
    pairs = asking * attended
    return Layout(
        groups=tuple(groups),
        projected=tensor(np.flatnonzero(np.repeat(~absorbed, attended))) if some else None,
        num_projected=int(projected.sum()),
        inverse=inverse,
        pairs=int(pairs[~absorbed].sum()),
        absorbed_rows=int(asking[absorbed].sum()),
        absorbed_pairs=int(pairs[absorbed].sum()),
    )


def alone(asking: int, attended: int, absorbed: bool) -> Layout:
    """One sentence: no index at all, and no arithmetic worth an array.

    Args:
        asking: Its active rows.
        attended: Rows they may read.
        absorbed: Whether they read unprojected states.
    """
    group = Group(
        absorbed=absorbed,
        size=1,
        queries=asking,
        keys=attended,
        query_slice=slice(0, asking),
        query_index=None,
        key_slice=slice(0, attended),
        key_index=None,
        key_mask=None,
        valid=None,
    )
    return Layout(
        groups=(group,),
        projected=None,
        num_projected=0 if absorbed else attended,
        inverse=None,
        pairs=0 if absorbed else asking * attended,
        absorbed_rows=asking if absorbed else 0,
        absorbed_pairs=asking * attended if absorbed else 0,
    )


def _similar(chosen: Index, attended: Index) -> list[Index]:
    """Cut a run of sentences, longest first, wherever the padding would get too wide."""
    cuts, longest = [], 0
    for place, sentence in enumerate(chosen):
        length = int(attended[sentence])
        if length < FILL * longest or length > longest:
            if place:
                cuts.append(place)
            longest = length
    return [part for part in np.split(chosen, cuts) if len(part)]


def _group(
    absorbed: bool,
    query_start: Index,
    asking: Index,
    key_start: Index,
    attended: Index,
    tensor: Callable[[Index | Mask], Tensor],
) -> Group:
    most_queries, most_keys = int(asking.max()), int(attended.max())
    even_queries = bool((asking == most_queries).all())
    even_keys = bool((attended == most_keys).all())
    # Rows of consecutive members touch, so an even group is one slice.
    whole_queries = even_queries and _touching(query_start, asking)
    whole_keys = even_keys and _touching(key_start, attended)
    query_place, key_place = np.arange(most_queries), np.arange(most_keys)
    return Group(
        absorbed=absorbed,
        size=len(asking),
        queries=most_queries,
        keys=most_keys,
        query_slice=_span(query_start, asking) if whole_queries else None,
        query_index=None
        if whole_queries
        else tensor(query_start[:, None] + np.minimum(query_place, asking[:, None] - 1)),
        key_slice=_span(key_start, attended) if whole_keys else None,
        key_index=None
        if whole_keys
        else tensor(key_start[:, None] + np.minimum(key_place, attended[:, None] - 1)),
        key_mask=None if even_keys else tensor(key_place < attended[:, None])[:, None, None],
        valid=None
        if even_queries
        else tensor(np.flatnonzero((query_place < asking[:, None]).ravel())),
    )


def _touching(start: Index, count: Index) -> bool:
    return bool((start[1:] == start[:-1] + count[:-1]).all())


def _span(start: Index, count: Index) -> slice:
    return slice(int(start[0]), int(start[-1] + count[-1]))
