"""The active rows of a batch, as those see them who take rows out or weigh them."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
from torch import Tensor

from tokenexit.halting.packing import Index, PackedBatch
from tokenexit.halting.received import Received
from tokenexit.halting.rows import LiveRows
from tokenexit.halting.trace import LayerWork
from tokenexit.policies import State, index_state
from tokenexit.reducers import Reducer, Rows, RowWeights
from tokenexit.reducers.base import check_fate, check_scorers
from tokenexit.scorers import RowScorers
from tokenexit.transfer import send


class Shown:
    """Makes ``Rows`` of the rows that are active, and keeps a state in step with them.

    Args:
        by: Who is shown them.
        batch: Packed sentences.
        num_layers: Depth of the network.
        scorers: Those of the model, if it has any.

    Attributes:
        of_first_rows: Whether every word is labelled by the first row of its text.
        text: Text of every row of the batch, ``[T]``.
        work: What it has cost at each layer.
        state: What ``by`` returned last, of the rows that it was shown then.

    Raises:
        UserError: Words would be dropped that nothing could label, or there are no scorers to read.
    """

    def __init__(
        self,
        by: Reducer | RowWeights,
        batch: PackedBatch,
        num_layers: int,
        scorers: RowScorers | None = None,
    ) -> None:
        starts = np.cumsum(batch.lengths) - batch.lengths
        self.of_first_rows = bool(np.isin(batch.first_row, starts).all())
        check_fate(by, words=not self.of_first_rows)
        check_scorers(by, scorers)
        self._by, self._batch, self._num_layers = by, batch, num_layers
        self._scorers = scorers if by.reads == "scores" else None
        self.work: defaultdict[int, LayerWork] = defaultdict(LayerWork)
        device = batch.input_ids.device
        self._longest = int(batch.lengths.max(initial=0))
        self._lengths, self.text = send(
            [torch.from_numpy(batch.lengths), torch.from_numpy(batch.row_sequence)], device
        )
        self.state: State = by.init(len(batch.row_word), device)
        self._seen: Index = np.arange(len(batch.row_word))

    def asks(self, layer: int, place: str) -> bool:
        """Whether it is shown them at a layer, from 1, before or within it."""
        if self._scorers is not None and layer not in self._scorers.layers:
            return False
        by = self._by
        return by.place == place and by.asked(layer, self._num_layers, self._longest)

    def rows(
        self, layer: int, live: LiveRows, received: Received | None, alone: Index | None = None
    ) -> tuple[Rows, State]:
        """The active rows at a layer, and the state indexed to them.

        Args:
            layer: From 1.
            live: All that are there, at least one of them active.
            received: The attention of the layer, if it is read.
            alone: Places among the active ones of those that are shown; None for all.
        """
        batch, index = self._batch, np.flatnonzero(live.active)
        index = index if alone is None else index[alone]
        original = live.original[index]
        stayed = np.searchsorted(self._seen, original)
        self._seen = original
        parts = [torch.from_numpy(part) for part in (index, original, stayed)]
        place, number, among = send(parts, live.hidden.device)
        text, pinned = self.text[number], batch.positions[number] == 0
        seen: dict[str, Tensor] = {}
        if received is not None:
            total, own = received.of_asking()
            if alone is not None:
                here = torch.from_numpy(alone).to(total.device)
                total, own = total[here], own[here]
            if received.first:
                asks = total.new_zeros(len(self._lengths)).index_add(0, text, pinned.to(total))
                seen = {"by_first": total * asks[text]}
            else:
                seen = {"received": total, "own": own}
        hidden, score, bar = live.hidden.index_select(0, place), None, None
        if self._scorers is not None:
            score, bar = self._scorers(layer, hidden)
            self.work[layer] += LayerWork(scored=len(hidden))
        rows = Rows(
            layer=layer,
            num_layers=self._num_layers,
            text=text,
            lengths=self._lengths,
            position=batch.positions[number],
            item_id=batch.input_ids[number],
            pinned=pinned,
            hidden=hidden,
            score=score,
            bar=bar,
            depth=None if batch.depths is None else batch.depths[number],
            **seen,
        )
        return rows, index_state(self.state, among)
