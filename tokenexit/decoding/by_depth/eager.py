"""Lanes computed by the model's own modules, with exact shapes, as ``Decoding`` computes steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from tokenexit.decoders import Decoder
from tokenexit.decoding.by_depth.block import SlotBlock
from tokenexit.decoding.by_depth.kept import Kept
from tokenexit.decoding.by_depth.lanes import Lanes, Left, Pick
from tokenexit.decoding.by_depth.source import SlotSource
from tokenexit.decoding.cache import DecoderCache, Index
from tokenexit.decoding.exits import Exits, check_generator_policy
from tokenexit.decoding.layer import propagate, run_layer
from tokenexit.decoding.outcome import Rows
from tokenexit.decoding.trail import Trail
from tokenexit.decoding.work import DecodeWork
from tokenexit.errors import UserError
from tokenexit.policies import Policy
from tokenexit.policies.never import Never
from tokenexit.signals import Signals


class EagerLanes(Lanes):
    """Texts by slot.

    Args:
        decoder: The network.
        exits: Where rows may leave, and what they are scored with there.
        policy: Who halts.
        slots: Texts at a time.
        device: Where they are kept.
        eager: Whether tokens that leave get keys and values in all layers at once, rather than
            when a later token needs them; the results are the same.
        max_steps: Tokens of a text at most; schedules over time need it.
    """

    def __init__(
        self,
        decoder: Decoder,
        exits: Exits,
        policy: Policy,
        slots: int,
        device: torch.device,
        *,
        eager: bool = False,
        max_steps: int | None = None,
    ) -> None:
        check_generator_policy(policy)
        self._decoder, self._exits, self._policy = decoder, exits, policy
        self._eager, self._max_steps, self._device = eager, max_steps, device
        asked = () if isinstance(policy, Never) else exits.layers
        self._bounds = (*asked, decoder.num_layers)
        self.work = DecodeWork(decoder.num_layers)
        self.cache = DecoderCache(decoder, slots, device)
        self._source: SlotSource | None = None
        self._trail = Trail.of(exits.context, slots, decoder.num_layers)
        self._places = np.full(slots, -1)
        self._tokens = torch.zeros(slots, dtype=torch.long, device=device)
        self._states = [Kept(slots) for _ in self._bounds]
        self._decisions = [Kept(slots) for _ in self._bounds]

    @property
    def segments(self) -> int:
        """See ``Lanes``."""
        return len(self._bounds)

    def admit(self, slots: Index, memory: Tensor, mask: Tensor) -> None:
        """See ``Lanes``."""
        self._take(self._tensor(slots), memory, mask)
        self.work.source_lengths += mask.sum(dim=1).tolist()
        self._places[slots] = -1
        if self._trail is not None:
            self._trail.forget(slots)

    def _take(self, at: Tensor, memory: Tensor, mask: Tensor) -> None:
        """Keep sources; nothing of earlier texts is read again."""
        if self._source is None:
            self._source = SlotSource(self._decoder, len(self._places), memory)
        self._source.admit(at, memory, mask)
        self.cache.clear(at)

    def read(self, slots: Index, tokens: Tensor) -> None:
        """See ``Lanes``."""
        self._places[slots] += 1
        places, most = self._places[slots], self._decoder.max_length
        if most is not None and int(places.max()) >= most:
            raise UserError(
                f"The model has places for {most} tokens, and a text would become longer: set "
                f"max_new_tokens, or max_length to {most} at most."
            )
        at = self._tensor(slots)
        self._tokens[at] = tokens
        self._states[0].put(at, self._decoder.embed(tokens, self._tensor(places)))

    def run(self, segment: int, slots: Index, pick: Pick) -> Left:
        """See ``Lanes``."""
        at, places = self._tensor(slots), self._places[slots]
        entered = self._states[segment].take(at)
        assert isinstance(entered, Tensor)
        hidden = self._through(segment, slots, places, entered)
        layer = self._bounds[segment]
        previous = None if segment == 0 else (lambda: entered)
        if self._trail is not None and segment == 0:
            self._trail.open(slots, places)
        elif self._trail is not None:
            self._trail.turn_to(slots, places)
        signals = self._signals(layer, hidden, at, places, previous)
        halt = None if layer == self._decoder.num_layers else self._ask(segment, signals, at)
        left = self._left(layer, signals, halt, pick)
        if left.gone.any():
            self._leave(layer, slots, places, signals, left.gone)
        return left

    def _layers(self, segment: int) -> range:
        """Those of a segment, from 0."""
        return range(self._bounds[segment - 1] if segment else 0, self._bounds[segment])

    def _through(self, segment: int, slots: Index, places: Index, hidden: Tensor) -> Tensor:
        """The layers of a segment for the newest tokens of texts, ``[n, H]``."""
        assert self._source is not None
        self.cache.reserve(int(places.max()) + 1)
        block = SlotBlock(slots, places, self.cache)
        bias = block.bias_of(self._decoder)
        for index in self._layers(segment):
            hidden = run_layer(
                self._decoder, index, hidden, block, self.cache, self._source, bias, self.work
            )
        return hidden

    def _ask(self, segment: int, signals: Signals, at: Tensor) -> Tensor:
        """Who halts, ``[n]``; what rows that stay will carry on is kept."""
        if segment:
            state = self._decisions[segment].take(at)
        else:
            state = self._policy.init(len(at), at.device)
        halt, state = self._policy.step(signals, state)
        self._states[segment + 1].put(at, signals.hidden)
        self._decisions[segment + 1].put(at, state)
        return halt

    def _left(self, layer: int, signals: Signals, halt: Tensor | None, pick: Pick) -> Left:
        """Who left, and with which tokens: only those that leave are scored."""
        gone = np.ones(len(signals), dtype=bool) if halt is None else halt.cpu().numpy()
        if not gone.any():
            return Left(gone, layer, None, [])
        rows = np.flatnonzero(gone)
        logits = signals.logits if gone.all() else signals.logits_of(self._tensor(rows))
        tokens = pick(rows, logits)
        return Left(gone, layer, tokens, tokens.tolist())

    def _keep(self, layer: int, slots: Index, places: Index, states: Tensor) -> None:
        """Keep what later tokens need of those that left below the top, ``[n, H]``."""
        part = SlotBlock(slots, places, self.cache)
        self.cache.leave(part.where, states)
        if self._eager:
            propagate(self._decoder, layer, states, part, self.cache, self.work)

    def _leave(
        self, layer: int, slots: Index, places: Index, signals: Signals, gone: np.ndarray
    ) -> None:
        """Tokens go no further."""
        slots, places = slots[gone], places[gone]
        if layer < self._decoder.num_layers:
            states = signals.hidden[self._tensor(np.flatnonzero(gone))]
            self._keep(layer, slots, places, states)
        if self._trail is not None:
            self._trail.turn_to(slots, places)
            self._trail.close(torch.full((len(self._places),), layer))

    def _signals(
        self,
        layer: int,
        hidden: Tensor,
        at: Tensor,
        places: Index,
        previous: Callable[[], Tensor] | None,
    ) -> Signals:
        rows = Rows.of(self._tokens[at], self._tensor(places))
        told = {"num_steps": self._max_steps, "previous": previous}
        return self._exits.signals(rows, layer, hidden, self.work, self._trail, **told)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(self._device)
