"""A reducer at work on one batch of the engine."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from tokenexit.halting.merging import Cut, Merging, plain_cut
from tokenexit.halting.packing import PackedBatch
from tokenexit.halting.received import Received
from tokenexit.halting.rows import LiveRows
from tokenexit.halting.shown import Shown
from tokenexit.halting.trace import LayerWork
from tokenexit.reducers import Reducer
from tokenexit.scorers import RowScorers
from tokenexit.transfer import send


class Reduction:
    """Asks a reducer about the active rows, and keeps its state beside them.

    Args:
        reducer: Who decides.
        batch: Packed sentences.
        num_layers: Depth of the network.
        scorers: Those of the model, if it has any.

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
        self.reducer = reducer
        self._shown = Shown(reducer, batch, num_layers, scorers)
        self._merging: Merging | None = None
        if reducer.fate == "merge":
            self._merging = Merging(len(batch.lengths), batch.input_ids.device)

    @property
    def of_first_rows(self) -> bool:
        """Whether every word is labelled by the first row of its text, which always stays."""
        return self._shown.of_first_rows

    @property
    def work(self) -> Mapping[int, LayerWork]:
        """What deciding has cost at each layer."""
        return self._shown.work

    def asks(self, layer: int, place: str) -> bool:
        """Whether rows may be taken out at a layer, from 1, before or within it."""
        return self._shown.asks(layer, place)

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
        alone = None
        if self._merging is not None:
            alone = np.flatnonzero(~self._merging.among(original))
        if self.reducer.compares:
            texts = rows.batch.row_sequence[original if alone is None else original[alone]]
            _, counts = np.unique(texts, return_counts=True)
            self._shown.work[layer] += LayerWork(ranked=int(counts @ counts))
        shown, state = self._shown.rows(layer, rows, received, alone)
        keep, self._shown.state = self.reducer.keep(shown, state)
        keep = keep | shown.pinned
        if self._merging is None or alone is None:
            stay = keep.cpu().numpy()  # the one transfer
            return None if stay.all() else plain_cut(stay, keep.device)
        parts = [torch.from_numpy(part) for part in (alone, original)]
        among, every = send(parts, keep.device)
        text = self._shown.text[every]
        weight = self.reducer.weigh(shown, self._shown.state)
        weight = weight.to(torch.promote_types(shown.hidden.dtype, torch.float32))
        weight = self._merging.weighed(text, weight, among)
        keep = torch.zeros_like(text, dtype=torch.bool).index_copy(0, among, keep)
        return self._merging.cut(original, text, keep, weight)
