"""A step layer by layer, for policies that have to be asked in Python."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tokenexit.decoding.compiled.heads import compiled_heads
from tokenexit.decoding.compiled.sequences import CompiledSequences
from tokenexit.decoding.outcome import Rows as Known
from tokenexit.decoding.outcome import Step, StepOutcome
from tokenexit.decoding.trail import last_tokens
from tokenexit.policies import Policy, index_state
from tokenexit.policies.never import Never

Index = NDArray[np.int32]


class Climbers:
    """Tokens on their way up, by sequence and place, and their states.

    Args:
        decoding: Whose.
        rows: Their sequences, ascending.
        hidden: Their states, ``[N, H]``.
    """

    def __init__(self, decoding: CompiledSequences, rows: Index, hidden: Tensor) -> None:
        self._on, self._kernels = decoding, decoding.model.kernels
        self.rows, self.hidden = rows, hidden
        self.places: Index = np.full(len(rows), decoding.length - 1, dtype=np.int32)
        self.newest = np.arange(len(rows))
        """Which of them is the last of each sequence."""

    def run(self, start: int, stop: int) -> None:
        """Go through layers, from 0."""
        self._kernels.decode_layers(
            self._on.batch,
            start,
            stop,
            self.rows.ctypes.data,
            self.places.ctypes.data,
            len(self.rows),
            self.hidden.data_ptr(),
            self._on.counts.ctypes.data,
        )

    def join(self, layer: int) -> None:
        """Take in all pending tokens that have to go through the next layer as well."""
        rows, places = self.rows[self.newest], self.places[self.newest]
        filled = self._on.states.filled[rows, layer]
        counts = places - filled + 1
        if int(counts.sum()) == len(self.rows):
            return
        self.leave(layer, np.ones(len(self.rows), dtype=bool), eager=False)
        self.rows = np.repeat(rows, counts)
        starts = np.repeat(np.cumsum(counts) - counts - filled, counts)
        self.places = (np.arange(len(self.rows)) - starts).astype(np.int32)
        self.newest = np.cumsum(counts) - 1
        self.hidden = torch.empty(len(self.rows), self.hidden.shape[1])
        self._kernels.decode_states(
            self._on.batch,
            self.rows.ctypes.data,
            self.places.ctypes.data,
            len(self.rows),
            self.hidden.data_ptr(),
        )

    def leave(self, layer: int, gone: NDArray[np.bool_], eager: bool) -> None:
        """Keep the states of some tokens; copy them upwards from a layer if asked."""
        rows, places = self.rows[gone], self.places[gone]
        hidden = self.hidden[torch.from_numpy(gone)]
        self._kernels.decode_leave(
            self._on.batch,
            layer,
            eager,
            rows.ctypes.data,
            places.ctypes.data,
            len(rows),
            hidden.data_ptr(),
            self._on.counts.ctypes.data,
        )

    def part(self, halted: NDArray[np.bool_]) -> None:
        """Sequences of which ``halted``, in order, says so are done."""
        which = np.repeat(halted, np.diff(self.newest, prepend=-1))
        self.rows, self.places = self.rows[~which], self.places[~which]
        self.hidden = self.hidden[torch.from_numpy(~which)]
        last = np.diff(self.rows, append=-1) != 0
        self.newest = np.flatnonzero(last)


def climb(decoding: CompiledSequences, token_ids: Tensor, rows: Index, policy: Policy) -> Step:
    """As ``Decoding._climb``, for a place that is not open yet."""
    model, depth = decoding.model, decoding.model.decoder.num_layers
    tokens = token_ids.long()[torch.from_numpy(rows)]
    climbers = begin(decoding, tokens, rows)
    outcome = StepOutcome(decoding.num_rows, np.arange(decoding.num_rows))
    state = policy.init(len(tokens))
    exits = () if isinstance(policy, Never) else decoding.exits.layers
    known = Known.of(tokens, decoding.length - 1)
    previous: Callable[[], Tensor] | None = None
    trail, done = decoding.trail, 0
    if trail is not None:
        trail.open(rows, decoding.length - 1)
    try:
        for layer in range(1, depth + 1):
            if decoding.pending == "parallel":
                climbers.join(layer - 1)
            elif layer < depth and layer not in exits:
                continue
            climbers.run(done if decoding.pending != "parallel" else layer - 1, layer)
            done = layer
            if layer < depth and layer not in exits:
                continue
            seen = climbers.hidden[torch.from_numpy(climbers.newest)]
            signals = known.signals(
                layer,
                depth,
                seen,
                num_steps=decoding.max_steps,
                previous=previous,
                **last_tokens(trail, known.sequence),
                **compiled_heads(model, decoding.exits, layer, decoding.counts, trail),
            )
            if layer == depth:
                halted = np.ones(len(seen), dtype=bool)
            else:
                halt, state = policy.step(signals, state)
                halted = halt.numpy()
            if halted.any():
                left, stay = (torch.from_numpy(np.flatnonzero(m)) for m in (halted, ~halted))
                mine = climbers.rows[climbers.newest][halted]
                outcome.add(mine.astype(np.int64), layer, signals.logits_of(left))
                if layer < depth:
                    which = np.repeat(halted, np.diff(climbers.newest, prepend=-1))
                    climbers.leave(layer, which, decoding.pending == "eager")
                if halted.all():
                    break
                climbers.part(halted)
                known, state = known.take(stay), index_state(state, stay)
                previous = partial(torch.index_select, seen, 0, stay)
            else:
                previous = partial(_same, seen)
    except Exception:
        decoding.states.shrink(decoding.length - 1)  # whoever tries again finds no half a token
        raise
    if trail is not None:
        trail.close(outcome.layers)
    return outcome.step()


def begin(decoding: CompiledSequences, tokens: Tensor, rows: Index) -> Climbers:
    """Open the next place and embed the tokens there, ``[N]``."""
    model = decoding.model
    if bool(((tokens < 0) | (tokens >= model.struct.num_words)).any()):
        decoding.told(2)
    decoding.told(model.kernels.decode_open(decoding.batch, rows.ctypes.data, len(rows)))
    hidden = torch.empty(len(rows), model.struct.hidden)
    place = decoding.length - 1
    given = tokens.contiguous()
    model.kernels.decode_embed(model.address, given.data_ptr(), len(rows), place, hidden.data_ptr())
    return Climbers(decoding, rows, hidden)


def verify(decoding: CompiledSequences, token_ids: Tensor, rows: Index) -> Tensor:
    """As ``Decoding.verify``, for a place that is not open yet."""
    model = decoding.model
    climbers = begin(decoding, token_ids.long(), rows)
    if decoding.trail is not None:
        decoding.trail.open(rows, decoding.length - 1)
        decoding.trail.close(torch.full((decoding.num_rows,), model.decoder.num_layers))
    for index in range(model.decoder.num_layers):
        climbers.join(index)
        climbers.run(index, index + 1)
    head = compiled_heads(model, decoding.exits, model.decoder.num_layers, decoding.counts)["head"]
    return head(climbers.hidden).unflatten(0, (len(rows), -1))


def _same(hidden: Tensor) -> Tensor:
    return hidden
