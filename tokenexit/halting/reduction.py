"""A reducer at work on one batch of the engine."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch

from tokenexit.halting.merging import Cut, Merging, plain_cut
from tokenexit.halting.packing import Index, PackedBatch
from tokenexit.halting.received import Received
from tokenexit.halting.rows import LiveRows
from tokenexit.policies import State, index_state
from tokenexit.reducers import Reducer, Rows
from tokenexit.reducers.base import check_fate, check_scorers
from tokenexit.scorers import RowScorers
from tokenexit.transfer import send


class Reduction:
    """Asks a reducer about the active rows, and keeps its state beside them.

    Args:
        reducer: Who decides.
        batch: Packed sentences.
        num_layers: Depth of the network.
        scorers: Those of the model, if it has any.

    Attributes:
        scored: Rows that scorers have judged at each layer.

    Raises:
        UserError: Words would be dropped that nothing could label, or there are no scorers to read.
    """

    def __init__(
        self,
        reducer: Reducer,
        batch: PackedBatch,
        num_layers: int,
        scorers: RowScorers | None = None,
    ) -> None:
        starts = np.cumsum(batch.lengths) - batch.lengths
        self.of_first_rows = bool(np.isin(batch.first_row, starts).all())
        """Whether every word is labelled by the first row of its text, which always stays."""
        check_fate(reducer, words=not self.of_first_rows)
        check_scorers(reducer, scorers)
        self.reducer = reducer
        self._scorers = scorers if reducer.reads == "scores" else None
        self.scored: Counter[int] = Counter()
        self._batch, self._num_layers = batch, num_layers
        device = batch.input_ids.device
        self._longest = int(batch.lengths.max(initial=0))
        self._lengths, self._text = send(
            [torch.from_numpy(batch.lengths), torch.from_numpy(batch.row_sequence)], device
        )
        self._state: State = reducer.init(len(batch.row_word), device)
        self._seen: Index = np.arange(len(batch.row_word))
        self._merging = Merging(len(batch.lengths), device) if reducer.fate == "merge" else None

    def asks(self, layer: int, place: str) -> bool:
        """Whether rows may be taken out at a layer, from 1, before or within it."""
        reducer = self.reducer
        if self._scorers is not None and layer not in self._scorers.layers:
            return False
        return reducer.place == place and reducer.asked(layer, self._num_layers, self._longest)

    def before(self, layer: int, rows: LiveRows) -> None:
        """Take out rows before a layer, if this is the place."""
        if self.asks(layer, "before") and rows.active.any():
            active = torch.from_numpy(np.flatnonzero(rows.active)).to(rows.hidden.device)
            cut = self.cut(layer, rows, None)
            if cut is None:
                return
            states = None if cut.means is None else cut.of(rows.hidden[active])
            rows.thin(cut.stay, self.reducer.fate, cut.slots)
            if states is not None:
                rows.write(states)

    def cut(self, layer: int, rows: LiveRows, received: Received | None) -> Cut | None:
        """Which of the active rows are computed on; None if all are.

        Args:
            layer: From 1.
            rows: All that are there, at least one of them active.
            received: The attention of the layer, if it is read.
        """
        active = np.flatnonzero(rows.active)
        original = rows.original[active]
        if self._merging is None:
            alone = np.arange(len(active))
        else:
            alone = np.flatnonzero(~self._merging.among(original))
        given = active[alone], original[alone], self._stayed(original[alone]), alone, original
        place, number, stayed, alone, every = send(
            [torch.from_numpy(part) for part in given], rows.hidden.device
        )
        text, pinned = self._text[number], self._batch.positions[number] == 0
        total = own = by_first = None
        if received is not None:
            total, own = (values[alone] for values in received.of_asking())
            if received.first:
                asks = total.new_zeros(len(self._lengths)).index_add(0, text, pinned.to(total))
                total, own, by_first = None, None, total * asks[text]
        hidden, score, bar = rows.hidden.index_select(0, place), None, None
        if self._scorers is not None:
            score, bar = self._scorers(layer, hidden)
            self.scored[layer] += len(hidden)
        shown = Rows(
            layer=layer,
            num_layers=self._num_layers,
            text=text,
            lengths=self._lengths,
            position=self._batch.positions[number],
            item_id=self._batch.input_ids[number],
            pinned=pinned,
            hidden=hidden,
            received=total,
            own=own,
            by_first=by_first,
            score=score,
            bar=bar,
        )
        keep, self._state = self.reducer.keep(shown, index_state(self._state, stayed))
        keep = keep | shown.pinned
        if self._merging is None:
            stay = keep.cpu().numpy()  # the one transfer
            return None if stay.all() else plain_cut(stay, keep.device)
        text = self._text[every]
        weight = self.reducer.weigh(shown, self._state)
        weight = weight.to(torch.promote_types(shown.hidden.dtype, torch.float32))
        weight = self._merging.weighed(text, weight, alone)
        keep = torch.zeros_like(text, dtype=torch.bool).index_copy(0, alone, keep)
        return self._merging.cut(original, text, keep, weight)

    def _stayed(self, original: Index) -> Index:
        """Places of rows among those that the last call saw."""
        stayed = np.searchsorted(self._seen, original)
        self._seen = original
        return stayed
