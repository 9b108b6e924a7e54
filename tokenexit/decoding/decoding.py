"""Decoding step by step, by the model's own modules on the rows that are there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from tokenexit.decoders import Decoder
from tokenexit.decoding.block import Block
from tokenexit.decoding.cache import DecoderCache, Index
from tokenexit.decoding.exits import Exits
from tokenexit.decoding.layer import propagate, run_layer
from tokenexit.decoding.outcome import Rows, Step, StepOutcome
from tokenexit.decoding.sequences import DecodingSettings, Sequences
from tokenexit.decoding.source import Source
from tokenexit.policies import Policy, index_state
from tokenexit.policies.never import Never
from tokenexit.signals import Signals


class Decoding(Sequences):
    """Sequences whose layers are computed by the model's own modules.

    Made by ``ExitModelForSeq2SeqLM.start``.

    Args:
        decoder: The network.
        exits: Where rows may leave, and what they are scored with there.
        memory: Encoder states, ``[B, S, H]``.
        mask: 1 for real source tokens, ``[B, S]``, or None.
        settings: How they are written.
    """

    _uneven = False
    """Whether sequences have places of their own."""

    def __init__(
        self,
        decoder: Decoder,
        exits: Exits,
        memory: Tensor,
        mask: Tensor | None,
        settings: DecodingSettings,
    ) -> None:
        super().__init__(decoder, exits, settings, len(memory))
        self.source = Source(decoder, memory, mask)
        self.cache = DecoderCache(decoder, len(memory), memory.device)
        self.work.source_lengths = self.source.lengths.tolist()
        # Rows that have ended may leave the storage: which row lies at each place there.
        self._resident: Index = np.arange(len(memory))
        self._origin: Index = np.arange(len(memory))
        self._lanes = 1

    @property
    def length(self) -> int:
        """Steps taken."""
        return self.cache.length

    # --- steps -----------------------------------------------------------------------------

    def _step(self, token_ids: Tensor, policy: Policy, live: Tensor | None) -> Step:
        rows = self._live(token_ids, live)
        places = self._grow(rows)
        mine = self._resident[rows]
        whole = len(mine) == self._num_rows and bool((mine[1:] > mine[:-1]).all())
        tokens = token_ids.contiguous() if whole else token_ids[_tensor(mine, token_ids.device)]
        block = self._block(rows, places)
        at = self._at(places, tokens.device)
        try:
            return self._climb(block, self.decoder.embed(tokens, at), tokens, at, policy)
        except Exception:
            self._shrink(rows)  # whoever tries again finds no half a token
            raise

    def _verify(self, token_ids: Tensor) -> Tensor:
        rows = self._live(token_ids, None)
        places = self._grow(rows)
        newest = block = self._block(rows, places)
        at = self._at(places, token_ids.device)
        hidden, bias = self.decoder.embed(token_ids, at), block.bias_of(self.decoder)
        if self.trail is not None:
            self.trail.open(self._resident[rows], places)
            self.trail.close(torch.full((self._num_rows,), self.decoder.num_layers))
        for index in range(self.decoder.num_layers):
            block, hidden, bias = self._joined(index, newest, block, hidden, bias)
            hidden = run_layer(
                self.decoder, index, hidden, block, self.cache, self.source, bias, self.work
            )
        head = self.exits.heads(self.decoder.num_layers, self.work)["head"]
        return head(hidden).unflatten(0, (len(rows), -1))

    def forget(self, length: int) -> None:
        """Undo the steps from ``length`` on; the tokens before must have reached the top."""
        self.cache.shrink(length)

    def _grow(self, rows: Index) -> Index:
        """Open the next place of some sequences, ``[N]``; returns their places."""
        self.check_length()
        self.cache.grow()
        return np.full(len(rows), self.length - 1)

    def _shrink(self, rows: Index) -> None:
        """Close it again."""
        self.cache.shrink(self.length - 1)

    def _at(self, places: Index, device: torch.device) -> Tensor:
        """The same on the device, without a transfer."""
        return torch.full((len(places),), self.length - 1, device=device)

    def _climb(
        self, block: Block, hidden: Tensor, tokens: Tensor, at: Tensor, policy: Policy
    ) -> Step:
        """Up the layers, until everybody has left."""
        outcome = StepOutcome(self._num_rows, self._resident)
        state = policy.init(len(tokens), tokens.device)
        newest, bias = block, block.bias_of(self.decoder)
        exits = () if isinstance(policy, Never) else self.exits.layers
        rows = Rows.of(tokens, at)
        previous: Callable[[], Tensor] | None = None
        if self.trail is not None:
            self.trail.open(self._resident[newest.rows], newest.places)
        for layer in range(1, self.decoder.num_layers + 1):
            if self.pending == "parallel":
                block, hidden, bias = self._joined(layer - 1, newest, block, hidden, bias)
            hidden = run_layer(
                self.decoder, layer - 1, hidden, block, self.cache, self.source, bias, self.work
            )
            top = layer == self.decoder.num_layers
            if not top and layer not in exits:
                continue
            # Of several tokens of a sequence the newest asks to leave.
            seen = hidden if block is newest else hidden[block.last]
            signals = self._signals(layer, seen, rows, previous)
            if top:
                outcome.add(newest.rows, layer, signals.logits)
                self._leave(layer, block, hidden)
                break
            halt, state = policy.step(signals, state)
            gone = halt.cpu().numpy()  # the one transfer
            if not gone.any():
                previous = partial(_same, seen)
                continue
            if gone.all():
                outcome.add(newest.rows, layer, signals.logits)
                self._leave(layer, block, hidden)
                break
            left, stay = (_tensor(np.flatnonzero(m), halt.device) for m in (gone, ~gone))
            outcome.add(newest.rows[gone], layer, signals.logits_of(left))
            mine = np.isin(block.rows, newest.rows[gone])
            self._leave(layer, self._part(block, mine), hidden[_tensor(mine, halt.device)])
            hidden = hidden[_tensor(~mine, halt.device)]
            whole, block = block is newest, self._part(block, ~mine)
            newest = block if whole else self._part(newest, ~gone)
            if self._uneven or not whole:  # else the newest all stand at one place, as before
                bias = block.bias_of(self.decoder)
            rows, state = rows.take(stay), index_state(state, stay)
            previous = partial(torch.index_select, seen, 0, stay)
        if self.trail is not None:
            self.trail.close(outcome.layers)
        return outcome.step()

    def _signals(
        self, layer: int, seen: Tensor, rows: Rows, previous: Callable[[], Tensor] | None
    ) -> Signals:
        told = {"num_steps": self.max_steps, "previous": previous}
        return self.exits.signals(rows, layer, seen, self.work, self.trail, **told)

    def _leave(self, layer: int, block: Block, hidden: Tensor) -> None:
        """Tokens go no further; what later tokens need of them is kept."""
        if layer == self.decoder.num_layers:
            return
        self.cache.leave(block.where, hidden)
        if self.pending == "eager":
            propagate(self.decoder, layer, hidden, block, self.cache, self.work)

    def _joined(
        self, index: int, newest: Block, block: Block, hidden: Tensor, bias: Tensor | None
    ) -> tuple[Block, Tensor, Tensor | None]:
        """The block with all pending tokens that have to go through the next layer with it.

        In the example of ``cache``, at layer 3: the newest is at place 4 and ``filled`` 1, so that
        four tokens go on: ``counts`` is ``[4]``, ``rows`` ``[0, 0, 0, 0]``, ``places``
        ``[1, 2, 3, 4]``.
        """
        filled = self.cache.filled[index][newest.rows]
        counts = newest.places - filled + 1
        if int(counts.sum()) == len(block):
            return block, hidden, bias
        rows = np.repeat(newest.rows, counts)
        places = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts - filled, counts)
        self.cache.leave(block.where, hidden)
        wider = self._block(rows, places)
        return wider, self.cache.states(self.cache.flat(rows, places)), wider.bias_of(self.decoder)

    def _block(self, rows: Index, places: Index) -> Block:
        return Block(rows, places, self.cache, self._origin, self._lanes)

    def _part(self, block: Block, mask: np.ndarray) -> Block:
        return self._block(block.rows[mask], block.places[mask])

    # --- sequences -------------------------------------------------------------------------

    def _replace(self, chosen: Index) -> None:
        place = np.full(self._num_rows, -1)
        place[self._resident] = np.arange(len(self._resident))
        stored = place[chosen]
        self._num_rows, self._ended = len(chosen), self._ended[chosen]
        self._store(stored[stored >= 0], np.flatnonzero(stored >= 0))

    def _store(self, kept: Index, resident: Index) -> None:
        """Keep, repeat or reorder what is stored, and say which sequences that is."""
        same = len(kept) == len(self.cache) and bool((kept == np.arange(len(kept))).all())
        if not same:
            self.cache.keep(_tensor(kept, self.cache.device))
        self._resident = resident
        self._origin = self._origin[kept]
        order = np.unique(self._origin)
        if len(order) < len(self.source):
            self.source.keep(_tensor(order, self.cache.device))
            self._origin = np.searchsorted(order, self._origin)
        self._sort_by_source()
        lanes = len(kept) // max(len(self.source), 1)
        even = np.repeat(np.arange(len(self.source)), lanes)
        self._lanes = lanes if np.array_equal(even, self._origin) else 0

    def _sort_by_source(self) -> None:
        """Rows of one source lie together; copies across sources are put in order."""
        if (np.diff(self._origin) >= 0).all():
            return
        order = np.argsort(self._origin, kind="stable")
        self.cache.keep(_tensor(order, self.cache.device))
        self._origin, self._resident = self._origin[order], self._resident[order]

    def _live(self, token_ids: Tensor, live: Tensor | None) -> Index:
        """Stored places of the sequences that take this step."""
        wanted = self._wanted(token_ids, live)
        going = np.flatnonzero(wanted[self._resident])
        if 2 * len(going) <= len(self._resident):
            self._store(going, self._resident[going])
            going = np.arange(len(going))
        return going


def _tensor(values: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(values).to(device)


def _same(hidden: Tensor) -> Tensor:
    return hidden
