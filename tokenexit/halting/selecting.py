"""Layers of which each text computes the heads and neurons that its selectors choose.

Without gradients, texts of a batch that chose alike are computed together with views of the
weights that they need, and nothing else is multiplied. With gradients all is computed, and what was
not chosen is multiplied with 0: the same to rounding. Where everybody chose everything, the layer
is the ordinary one to the last bit.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tokenexit.backbones import Backbone
from tokenexit.backbones.choosing import Choosing, joined, view_of
from tokenexit.errors import UserError
from tokenexit.halting.attention import attend
from tokenexit.halting.layout import Layout, arrange
from tokenexit.halting.packing import Index, PackedBatch
from tokenexit.halting.rows import LiveRows
from tokenexit.halting.trace import LayerWork
from tokenexit.heads import ExitHeads
from tokenexit.reducers import Reducer, RowWeights
from tokenexit.selectors import Asked, Choose, at_least
from tokenexit.transfer import send


class Selecting:
    """Runs layers of one batch.

    Args:
        backbone: The network, whole.
        heads: Has the selectors.
        batch: Packed sentences.
        choose: What is computed; by ``backbone.selected`` when None.

    Raises:
        UserError: There are no selectors, or layers that cannot be cut.
    """

    def __init__(
        self,
        backbone: Backbone,
        heads: ExitHeads,
        batch: PackedBatch,
        choose: Choose | None = None,
    ) -> None:
        if heads.selectors is None:
            raise UserError("Widths are selected by selectors, and the model has none.")
        self._whole, self._selectors, self._batch = backbone, heads.selectors, batch
        self._choose = at_least(backbone.selected or 0.0) if choose is None else choose
        self._view = view_of(backbone)
        starts = np.cumsum(batch.lengths) - batch.lengths
        self.of_first_rows = bool(np.isin(batch.first_row, starts).all())
        """Whether every word is labelled by the first row of its text."""

    def layer(self, index: int, rows: LiveRows, eager: bool) -> tuple[Tensor, LayerWork]:
        """New states of the active rows, ``[A, H]``, and the work that they were.

        Args:
            index: Layer, from 0.
            rows: All that are there, planned, at least one of them active.
            eager: As in ``attend``.
        """
        active, places = rows.asking()
        states, positions, asking = rows.read_by(active, places)
        there = send([torch.from_numpy(self._batch.row_sequence[rows.original])], states.device)[0]
        reads = _Texts(rows.of_read(there).cpu().numpy())
        asks = _Texts(self._batch.row_sequence[rows.original][rows.active])
        costs = _Costs(self._view, self._whole, index)
        first = reads.means(states) if index == 0 else reads.firsts(states)
        chosen = self._chosen(index, "heads", first, asks, costs.of_heads(asks, reads))
        work = LayerWork(selecting=len(asks.present))
        alike = _alike(chosen)
        if alike is None:
            at = states, places, positions, rows.layout
            read = attend(self._whole, index, active, *at, asking=asking, eager=eager)
            if torch.is_grad_enabled():
                each = chosen.to(read.dtype).index_select(0, asks.numbers(read.device))
                size = read.shape[1] // chosen.shape[1]
                read = read * each.repeat_interleave(size, dim=1)
            between = self._whole.after_attention(index, active, read)
            work += rows.layout.work(len(active))
        else:
            parts: list[tuple[Index, Tensor]] = []
            for kept, texts in alike:
                mine, theirs = asks.of(texts), reads.of(texts)
                some = _take(active, mine)
                layout = arrange(
                    asks.counts[texts],
                    reads.counts[texts],
                    np.zeros(len(texts), dtype=bool),
                    active.device,
                )
                network = self._view.choose(index, kept)
                at = _take(states, theirs), _take(places, mine), _take(positions, theirs), layout
                read = attend(network, index, some, *at, eager=eager)
                parts.append((mine, network.after_attention(index, some, read)))
                work += costs.spared(len(kept), len(some), layout)
            between = _in_order(parts)
        new, spared = self._neurons(index, between, asks, costs)
        return new, work + spared

    def _neurons(
        self, index: int, between: Tensor, asks: _Texts, costs: _Costs
    ) -> tuple[Tensor, LayerWork]:
        first = asks.firsts(between)
        chosen = self._chosen(index, "neurons", first, asks, costs.of_neurons(asks))
        edges = self._selectors.edges(index + 1)
        if torch.is_grad_enabled():
            sizes = torch.tensor(np.diff(edges), device=between.device)
            each = chosen.to(between.dtype).index_select(0, asks.numbers(between.device))
            network = self._view.weigh(index, each.repeat_interleave(sizes, dim=1))
            new = network.feed_forward(index, between)
            self._view.weigh(index, None)
            return new, LayerWork()
        alike, work = _alike(chosen), LayerWork()
        if alike is None:
            return self._whole.feed_forward(index, between), work
        parts: list[tuple[Index, Tensor]] = []
        for kept, texts in alike:
            mine = asks.of(texts)
            some = _take(between, mine)
            spans = joined([(edges[block], edges[block + 1]) for block in kept])
            network = self._view.choose(index, None, spans)
            parts.append((mine, network.feed_forward(index, some)))
            work += LayerWork(unselected=len(some) * costs.without(network.neurons(index)))
        return _in_order(parts), work

    def _chosen(self, index: int, part: str, first: Tensor, asks: _Texts, macs: Index) -> Tensor:
        odds = self._selectors.at(index + 1, part)(first)
        told = torch.from_numpy(macs).to(odds)
        return self._choose(Asked(index + 1, part, odds, asks.present, told))


def check_beside(reducer: Reducer | None, weights: RowWeights | None = None) -> None:
    """Refuse to select widths where rows are weighed, or judged by the attention.

    Raises:
        UserError: Says by what.
    """
    if weights is not None or (reducer is not None and reducer.place == "within"):
        raise UserError(
            "Widths that texts select leave out heads whose attention would be read: use "
            f"{weights or reducer!r} without them, or a reducer that decides before layers."
        )


class _Texts:
    """To which texts rows belong, that lie one text after another.

    Args:
        text: Of each row, ``[R]``.

    Attributes:
        present: Those that have any, ``[S]``.
        counts: Rows of each, likewise.
    """

    def __init__(self, text: Index) -> None:
        found = np.unique(text, return_index=True, return_inverse=True, return_counts=True)
        self.present, self._first, self._number, self.counts = found

    def numbers(self, device: torch.device) -> Tensor:
        """Place of each row's text among those present, ``[R]``."""
        return send([torch.from_numpy(self._number)], device)[0]

    def firsts(self, rows: Tensor) -> Tensor:
        """The first row of each text, ``[S, H]``."""
        return rows.index_select(0, send([torch.from_numpy(self._first)], rows.device)[0])

    def means(self, rows: Tensor) -> Tensor:
        """The mean of each text's rows, ``[S, H]``."""
        counts = send([torch.from_numpy(self.counts)], rows.device)[0]
        sums = rows.new_zeros(len(self.counts), rows.shape[1])
        return sums.index_add(0, self.numbers(rows.device), rows) / counts[:, None].to(rows.dtype)

    def of(self, texts: Index) -> Index:
        """Rows of some of those present, given by their places."""
        if len(texts) == len(self.present):
            return np.arange(len(self._number))
        return np.flatnonzero(np.isin(self._number, texts))


class _Costs:
    """Multiply-accumulates of one layer, in parts."""

    def __init__(self, view: Choosing, whole: Backbone, index: int) -> None:
        self._view, self._index = view, index
        self._whole = whole.cost(index)
        self._heads, self._wide = whole.heads(index), whole.neurons(index)
        self._narrow = view.cost(index, self._heads, 0).combine

    def of_heads(self, asks: _Texts, reads: _Texts) -> Index:
        """Of the attention of each text, ``[S]``."""
        cost, asking, read = self._whole, asks.counts, reads.counts
        rows = asking * (cost.query + self._narrow) + read * cost.key_value
        return rows + asking * read * cost.pair

    def of_neurons(self, asks: _Texts) -> Index:
        """Of the feed-forward block of each text, ``[S]``."""
        return asks.counts * (self._whole.combine - self._narrow)

    def without(self, neurons: int) -> int:
        """What a row saves that computes so many."""
        return self._whole.combine - self._view.cost(self._index, self._heads, neurons).combine

    def spared(self, heads: int, active: int, layout: Layout) -> LayerWork:
        """Work of rows that attend with so many heads, and what they left out."""
        whole, less = self._whole, self._view.cost(self._index, heads, self._wide)
        left = active * (whole.query - less.query + whole.combine - less.combine)
        left += layout.num_projected * (whole.key_value - less.key_value)
        left += layout.pairs * (whole.pair - less.pair) + whole.fixed - less.fixed
        return layout.work(active) + LayerWork(unselected=left)


def _alike(chosen: Tensor) -> list[tuple[list[int], Index]] | None:
    """What is kept, and by which texts, for each choice that any of them made.

    None where all is computed: everybody chose everything, or gradients are wanted.
    """
    if torch.is_grad_enabled():
        return None
    told = chosen.bool().cpu().numpy()  # the one transfer
    if told.all():
        return None
    if len(told) == 1:
        return [(np.flatnonzero(told[0]).tolist(), np.zeros(1, dtype=np.int64))]
    kinds, of = np.unique(told, axis=0, return_inverse=True)
    of = of.reshape(-1)
    return [
        (np.flatnonzero(kind).tolist(), np.flatnonzero(of == number))
        for number, kind in enumerate(kinds)
    ]


def _take(rows: Tensor, places: Index) -> Tensor:
    if len(places) == len(rows):
        return rows
    return _chosen_rows(rows, places)


def _in_order(parts: list[tuple[Index, Tensor]]) -> Tensor:
    """Rows of all parts at their places, which are all there are."""
    if len(parts) == 1:
        return parts[0][1]
    order = np.argsort(np.concatenate([places for places, _ in parts]))
    return _chosen_rows(torch.cat([rows for _, rows in parts]), order)


def _chosen_rows(rows: Tensor, order: Index) -> Tensor:
    return rows.index_select(0, send([torch.from_numpy(order)], rows.device)[0])
