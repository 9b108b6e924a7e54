"""Lanes whose layers run on fixed shapes, which a GPU captures: few launches a round.

Layers, and the copying of those that left, are captured; embedding, policy and vocabulary run as
they are, on exact shapes. Rows are rounded up with those of a slot that nobody has.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tokenexit.decoders import Decoder
from tokenexit.decoding.attention import attend
from tokenexit.decoding.by_depth.eager import EagerLanes
from tokenexit.decoding.by_depth.lanes import Left, Pick
from tokenexit.decoding.by_depth.room import RoundRows, SlotRoom
from tokenexit.decoding.cache import Index
from tokenexit.decoding.exits import Exits
from tokenexit.decoding.static.served import check_decoder
from tokenexit.decoding.static.sizes import check_places, width_for
from tokenexit.signals import Signals

Take = Callable[[Decoder, Exits, int, int], SlotRoom]
"""Gives memory for so many slots and places."""


class StaticLanes(EagerLanes):
    """Texts by slot, in memory of fixed size.

    Args:
        given: As ``EagerLanes``.
        max_steps: Tokens of a text at most.
        take: Where memory comes from.
        give_back: Is told when nobody uses it any longer.

    Raises:
        UserError: A network that fixed shapes do not serve, or texts too long for them.
    """

    def __init__(
        self,
        *given: Any,
        max_steps: int,
        take: Take = SlotRoom,
        give_back: Callable[[SlotRoom], None] | None = None,
    ) -> None:
        check_places(max_steps)
        super().__init__(*given, eager=True, max_steps=max_steps)
        check_decoder(self._decoder)
        self._room = take(self._decoder, self._exits, len(self._places), width_for(max_steps))
        self._room.begin()
        self._give_back = give_back

    def close(self) -> None:
        """See ``Lanes``."""
        if self._give_back is not None:
            self._give_back(self._room)
            self._give_back = None

    def _take(self, at: Tensor, memory: Tensor, mask: Tensor) -> None:
        self._room.take(at, memory, mask)
        self._source = self._room.source

    def _through(self, segment: int, slots: Index, places: Index, hidden: Tensor) -> Tensor:
        assert self._source is not None
        layers, count = self._layers(segment), len(slots)
        pairs = int((places + 1 + self._source.lengths[slots]).sum())
        for index in layers:
            read = self._source.ready(index, slots)
            self.work.layer(index, count, count, pairs, read)
        rows, width = self._rows(slots, places, hidden), width_for(int(places.max()) + 1)
        key = ("layers", layers, len(rows.at), width)
        self._room.graphs.run(key, partial(self._run, rows, layers, width))
        return rows.hidden[:count].clone()  # the next rows of this size write over it

    def _left(self, layer: int, signals: Signals, halt: Tensor | None, pick: Pick) -> Left:
        """All rows are scored, so that the host fetches who left and their tokens together."""
        count = len(signals)
        tokens = pick(np.arange(count), signals.logits)
        if halt is None:
            return Left(np.ones(count, dtype=bool), layer, tokens, tokens.tolist())
        both = torch.stack([halt.long(), tokens]).cpu().numpy()  # the one transfer
        gone = both[0].astype(bool)
        if not gone.any():
            return Left(gone, layer, None, [])
        tokens = tokens if gone.all() else tokens[self._tensor(np.flatnonzero(gone))]
        return Left(gone, layer, tokens, both[1][gone].tolist())

    def _keep(self, layer: int, slots: Index, places: Index, states: Tensor) -> None:
        rows = self._rows(slots, places, states)
        self._room.graphs.run(("copy", layer, len(rows.at)), partial(self._copy, rows, layer))
        for index in range(layer, self._decoder.num_layers):
            self.work.propagated(index, len(slots))

    def _rows(self, slots: Index, places: Index, hidden: Tensor) -> RoundRows:
        rows = self._room.rows(len(slots), hidden.shape[1])
        rows.fill(self._tensor(slots), self._tensor(places), hidden)
        return rows

    # --- what is captured -------------------------------------------------------------------

    def _run(self, rows: RoundRows, layers: range, width: int) -> None:
        """Layers for the newest tokens; the host looks at nothing."""
        decoder, hidden, bias = self._decoder, rows.hidden, self._bias(rows, width)
        for index in layers:
            query, made = decoder.self_projections(index, hidden)
            self._write(index, rows, made)
            read = self._room.stores[index][:, :width].index_select(0, rows.at)
            split = read.unflatten(-1, (2, decoder.num_heads, -1)).permute(2, 0, 3, 1, 4)
            found = self._attend(query, split[0], split[1], bias)
            hidden = decoder.after_self(index, hidden, found)
            keys, values, mask = self._read_source(index, rows)
            asked = decoder.cross_query(index, hidden)
            hidden = decoder.after_cross(index, hidden, self._attend(asked, keys, values, mask))
            hidden = decoder.feed_forward(index, hidden)
        rows.hidden.copy_(hidden)

    def _copy(self, rows: RoundRows, layer: int) -> None:
        """Keys and values of the states that tokens left with, in the layers above."""
        for index in range(layer, self._decoder.num_layers):
            self._write(index, rows, self._decoder.self_keys_values(index, rows.hidden))

    def _write(self, index: int, rows: RoundRows, made: Tensor) -> None:
        store = self._room.stores[index]
        where = rows.at * self._room.places + rows.place
        store.flatten(0, 1).index_copy_(0, where, made.to(store.dtype))

    def _bias(self, rows: RoundRows, width: int) -> Tensor:
        """Positions, later places and what earlier texts have left hidden, ``[R, ?, 1, M]``."""
        back = rows.place[:, None] - self._room.numbers[:width]  # [R, M]
        later = (back < 0)[:, None, None]
        if self._room.distances is None:
            scores = torch.zeros(later.shape, dtype=self._room.stores[0].dtype, device=later.device)
        else:
            scores = self._room.distances[:, back.clamp_min(0)].transpose(0, 1)[:, :, None]
        return scores.masked_fill(later, float("-inf"))

    def _read_source(self, index: int, rows: RoundRows) -> tuple[Tensor, Tensor, Tensor]:
        source = self._source
        assert source is not None
        assert source.mask is not None
        keys, values = source.keys_values(index)
        keys, values = keys.index_select(0, rows.at), values.index_select(0, rows.at)
        return keys, values, source.mask.index_select(0, rows.at)

    def _attend(self, asked: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
        shape = len(asked), self._decoder.num_heads, 1, -1
        return attend(self._decoder, asked.view(shape), keys, values, bias).view(asked.shape)
