"""Which queries meet which keys: sentences gathered into groups of similar length.

A group is one attention call. Sentences of one length need no padding and no index at all;
others are padded within their group only, never to the longest sentence of the batch.

The five rows of ``packing``'s example on their way through three layers with an exit after each;
rows that halted are read on (``halted="copy"``), and ask no more (``fill=0.6``)::

    layer    rows that ask        asking   attended   one group of two sentences, padded to three
      1      0 1 2 | 3 4          [3, 2]   [3, 2]     query_index = [[0, 1, 2], [3, 4, 4]]
                                                      valid       = [0, 1, 2, 3, 4], not the 6th
                                                      key_index   = [[0, 1, 2], [3, 4, 4]]
                                                      key_mask    = [[1, 1, 1], [1, 1, 0]]
             u halts (row 1)
      2      0 2 | 3 4            [2, 2]   [3, 2]     query_slice = 0:4, of as many each;
                                                      keys as above: row 1 is still read
             w halts, and with it its sentence
      3      0 2                  [2]      [3]        query_slice = 0:2, key_slice = 0:3

Queries are numbered among the rows that ask, keys among those that are read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tokenexit.halting.packing import Index, Mask
from tokenexit.halting.trace import LayerWork
from tokenexit.transfer import send

# A sentence joins a group while its keys fill at least this share of the padded width:
# below it, padding costs more than one more attention call.
FILL = 0.7

# Where training launches kernels on a GPU, which computes padding sooner. Not timed yet.
FILL_LAUNCHED = 0.3

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


def take(rows: Tensor, span: slice | None, index: Tensor | None, size: int) -> Tensor:
    """Rows of a group, ``[S, A or M, ...]``; a view wherever the rows lie together."""
    if span is not None:
        return rows[span].view(size, -1, *rows.shape[1:])
    assert index is not None
    # Whose backward pass is one kernel; that of indexing sorts the rows first.
    return rows.index_select(0, index.flatten()).view(*index.shape, *rows.shape[1:])


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

    def work(self, active: int) -> LayerWork:
        """What attending is for so many rows that ask."""
        return LayerWork(
            active=active,
            projected=self.num_projected,
            pairs=self.pairs,
            absorbed=self.absorbed_rows,
            absorbed_pairs=self.absorbed_pairs,
            calls=1,
        )


def cheaper_absorbed(asking: Any, attended: Any, width: int, heads: int) -> Any:
    """Which sentences read unprojected states more cheaply: ``[S]`` bool, or one of numbers.

    Projecting costs ``2 n H^2 + 2 m n H`` for ``m`` queries on ``n`` rows; absorbing the
    projections into queries and read-outs ``2 m H^2 + 2 m n H heads``.
    """
    projected = attended * width + asking * attended
    absorbed = asking * width + asking * attended * heads
    return absorbed < ABSORB_MARGIN * projected


def arrange(
    asking: Index,
    attended: Index,
    absorbed: Mask,
    device: torch.device | str,
    alike: bool = False,
    fill: float = FILL,
) -> Layout:
    """Group the sentences of a layer.

    Args:
        asking: Active rows of each sentence, ``[S]``; rows lie sentence after sentence.
        attended: Rows each sentence's queries may read, ``[S]``, likewise.
        absorbed: Which sentences read unprojected states, ``[S]`` bool.
        device: Where the indices are needed.
        alike: Whether a group holds sentences of one shape only. Padding changes the last bit of
            what is read, which rounding to few bits may make a step.
        fill: Share of a group's width that its shortest sentence has to fill.
    """
    if len(asking) == 1:
        return alone(int(asking[0]), int(attended[0]), bool(absorbed[0]))

    def tensor(values: Index | Mask) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values))

    # A batch has few sentences: plain numbers take less time than arrays of them.
    some = bool(absorbed.any())
    projected = np.where(absorbed, 0, attended) if some else attended
    asks, reads, apart = asking.tolist(), attended.tolist(), absorbed.tolist()
    query_start = [0, *accumulate(asks)]
    starts = {False: [0, *accumulate(projected.tolist())], True: [0, *accumulate(reads)]}
    groups: list[Group] = []
    order: list[int] = []
    for kind in (False, True) if some else (False,):
        chosen = [sentence for sentence, own in enumerate(apart) if own == kind]
        for members in _equal(chosen, asks, reads) if alike else _similar(chosen, reads, fill):
            order += members
            queries = _Span.of(members, query_start, asks)
            keys = _Span.of(members, starts[kind], reads)
            groups.append(_group(kind, queries, keys, tensor))
    pairs = asking * attended
    layout = Layout(
        groups=tuple(groups),
        projected=tensor(np.flatnonzero(np.repeat(~absorbed, attended))) if some else None,
        num_projected=int(projected.sum()),
        inverse=tensor(_back(np.array(order), asking)) if order != sorted(order) else None,
        pairs=int(pairs[~absorbed].sum()) if some else int(pairs.sum()),
        absorbed_rows=int(asking[absorbed].sum()) if some else 0,
        absorbed_pairs=int(pairs[absorbed].sum()) if some else 0,
    )
    return layout if torch.device(device).type == "cpu" else _sent(layout, device)


def _sent(layout: Layout, device: torch.device | str) -> Layout:
    """The same with all of its indices on a device, in one copy."""
    holders = (layout, *layout.groups)
    named = [
        (number, field.name, value)
        for number, holder in enumerate(holders)
        for field in fields(holder)
        if isinstance(value := getattr(holder, field.name), Tensor)
    ]
    sent = send([value for *_, value in named], device)
    changed: list[dict[str, Any]] = [{} for _ in holders]
    for (number, name, _), value in zip(named, sent, strict=True):
        changed[number][name] = value
    pairs = zip(layout.groups, changed[1:], strict=True)
    return replace(layout, **changed[0], groups=tuple(replace(g, **more) for g, more in pairs))


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


def _back(order: Index, counts: Index) -> Index:
    """Where each row of sentences, in their own order, lies when they stand in another."""
    starts, lengths = np.cumsum(counts) - counts, counts[order]
    begins = np.cumsum(lengths) - lengths
    rows = np.repeat(starts[order] - begins, lengths) + np.arange(int(counts.sum()))
    return np.argsort(rows)


def _similar(chosen: list[int], attended: list[int], fill: float) -> list[list[int]]:
    """Cut a run of sentences, longest first, wherever the padding would get too wide."""
    parts: list[list[int]] = []
    longest = 0
    for sentence in chosen:
        length = attended[sentence]
        if not parts or length < fill * longest or length > longest:
            parts.append([])
            longest = length
        parts[-1].append(sentence)
    return parts


def _equal(chosen: list[int], asking: list[int], attended: list[int]) -> list[list[int]]:
    """Gather sentences with as many rows and as many questions, wherever they lie."""
    found: dict[tuple[int, int], list[int]] = {}
    for sentence in chosen:
        found.setdefault((attended[sentence], asking[sentence]), []).append(sentence)
    return [*found.values()]


@dataclass(frozen=True)
class _Span:
    """Rows of some sentences: where those of each begin, how many they are, and the most."""

    starts: list[int]
    counts: list[int]
    most: int
    even: bool
    together: bool

    @classmethod
    def of(cls, members: list[int], start: list[int], count: list[int]) -> _Span:
        starts, counts = [start[m] for m in members], [count[m] for m in members]
        most = max(counts)
        even = min(counts) == most
        # Rows of consecutive members touch, so an even group is one slice.
        together = even and starts == list(range(starts[0], starts[0] + most * len(members), most))
        return cls(starts, counts, most, even, together)

    def whole(self) -> slice | None:
        """All of them, where they lie together and none is padded."""
        if not self.together:
            return None
        return slice(self.starts[0], self.starts[0] + self.most * len(self.starts))

    def rows(self) -> Index:
        """Their numbers, ``[S, most]``, padded by repetition."""
        place = np.minimum(np.arange(self.most), np.array(self.counts)[:, None] - 1)
        return np.array(self.starts)[:, None] + place

    def real(self) -> Mask:
        """Which of those are no repetition, ``[S, most]``."""
        return np.arange(self.most) < np.array(self.counts)[:, None]


def _group(
    absorbed: bool, queries: _Span, keys: _Span, tensor: Callable[[Index | Mask], Tensor]
) -> Group:
    return Group(
        absorbed=absorbed,
        size=len(queries.starts),
        queries=queries.most,
        keys=keys.most,
        query_slice=queries.whole(),
        query_index=None if queries.together else tensor(queries.rows()),
        key_slice=keys.whole(),
        key_index=None if keys.together else tensor(keys.rows()),
        key_mask=None if keys.even else tensor(keys.real())[:, None, None],
        valid=None if queries.even else tensor(np.flatnonzero(queries.real().ravel())),
    )
