"""The plain reference: token by token, row by row, nothing packed, nothing cached but states.

Every key and value is made again from states whenever a token reads it. Slow, obvious, and equal
to the engine: tests hold the engine to it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tokenexit.decoders import Decoder
from tokenexit.decoding.exits import Exits
from tokenexit.decoding.layer import Pending
from tokenexit.decoding.outcome import Rows
from tokenexit.decoding.trail import Trail
from tokenexit.decoding.work import DecodeWork
from tokenexit.policies import Policy


@torch.no_grad()
def decode_plain(
    decoder: Decoder,
    exits: Exits,
    memory: Tensor,
    mask: Tensor,
    tokens: Tensor,
    policy: Policy,
    *,
    pending: Pending = "eager",
    max_steps: int | None = None,
    kept: torch.dtype | None = None,
) -> tuple[Tensor, Tensor]:
    """Read given tokens, one sequence a source.

    Args:
        decoder: The network.
        exits: Where tokens may leave.
        memory: Encoder states, ``[R, S, H]``.
        mask: 1 for real source tokens, ``[R, S]``.
        tokens: What each sequence reads, ``[R, T]``.
        policy: Who halts.
        pending: What tokens that left early give to later ones; ``lazy`` is ``eager`` here.
        max_steps: As the engine is told.
        kept: Type in which keys and values are kept, as states are when None.

    Returns:
        Scores of the next tokens, ``[R, T, V]``, and exit layers, ``[R, T]``.
    """
    logits, layers = [], []
    for row in range(len(tokens)):
        text = _Text(decoder, memory[row][mask[row].bool()], tokens[row], kept)
        text.trail = Trail.of(exits.context, 1, decoder.num_layers)
        for place in range(tokens.shape[1]):
            layer = text.climb(place, exits, policy, pending == "parallel", max_steps)
            logits.append(exits.score(text.columns[place][layer]))
            layers.append(layer)
            if pending != "parallel":  # the layers it skips read the state it left with
                text.columns[place] += [text.columns[place][-1]] * (decoder.num_layers - layer)
    shape = tokens.shape
    return torch.cat(logits).unflatten(0, shape), torch.tensor(layers).unflatten(0, shape)


class _Text:
    """One sequence: of each token so far, its state before each layer it has reached.

    Args:
        decoder: The network.
        source: Encoder states of its source, ``[S, H]``.
        tokens: What it reads, ``[T]``.
        kept: Type of keys and values, or None.
    """

    def __init__(
        self, decoder: Decoder, source: Tensor, tokens: Tensor, kept: torch.dtype | None
    ) -> None:
        self._decoder, self._tokens, self._kept = decoder, tokens, kept
        places = torch.arange(len(tokens), device=tokens.device)
        self._bias = decoder.bias(places, places)
        self.trail: Trail | None = None
        self._source = [decoder.cross_keys_values(i, source) for i in range(decoder.num_layers)]
        embedded = decoder.embed(tokens, places)
        self.columns = [[embedded[place, None]] for place in places]  # [1, H] each

    def climb(
        self, newest: int, exits: Exits, policy: Policy, parallel: bool, max_steps: int | None
    ) -> int:
        """Take the newest token up the layers until it leaves; returns its exit layer."""
        top = self._decoder.num_layers
        row = Rows.of(self._tokens[newest, None], newest)
        state, previous = policy.init(1, row.step.device), None
        if self.trail is not None:
            self.trail.open(np.zeros(1, dtype=int), newest)
        for layer in range(1, top):
            self._layer(layer, newest, parallel)
            if layer not in exits.layers:
                continue
            hidden = self.columns[newest][layer]
            before = None if previous is None else lambda before=previous: before
            told = {"num_steps": max_steps, "previous": before}
            signals = exits.signals(row, layer, hidden, DecodeWork(top), self.trail, **told)
            halt, state = policy.step(signals, state)
            if halt.item():
                return self._left(layer)
            previous = hidden
        self._layer(top, newest, parallel)
        return self._left(top)

    def _left(self, layer: int) -> int:
        """The newest token leaves here."""
        if self.trail is not None:
            self.trail.close(torch.tensor([layer]))
        return layer

    def _layer(self, layer: int, newest: int, parallel: bool) -> None:
        """Run a layer on the newest token; first, if that is the rule, on those that skipped it."""
        for place in range(newest + 1):
            if len(self.columns[place]) == layer and (parallel or place == newest):
                self.columns[place].append(self._run(layer - 1, place))

    def _run(self, index: int, place: int) -> Tensor:
        decoder, rows = self._decoder, self.columns[place][index]
        read = torch.cat([column[index] for column in self.columns[: place + 1]])
        keys, values = decoder.self_keys_values(index, read).chunk(2, dim=-1)
        bias = None if self._bias is None else self._bias[:, place, None, : place + 1]
        read = self._attend(decoder.self_query(index, rows), keys, values, bias)
        rows = decoder.after_self(index, rows, read)
        read = self._attend(decoder.cross_query(index, rows), *self._source[index], None)
        return decoder.feed_forward(index, decoder.after_cross(index, rows, read))

    def _attend(self, query: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
        """What one token reads from ``M`` others, ``[1, I], 2 x [M, I] -> [1, I]``."""
        keys, values = (x.to(self._kept or x.dtype).to(x.dtype) for x in (keys, values))
        shape = (self._decoder.num_heads, -1)
        query, keys, values = (
            x.unflatten(-1, shape).transpose(0, 1) for x in (query, keys, values)
        )
        scores = query @ keys.mT * self._decoder.scaling  # [heads, 1, M]
        weights = (scores if bias is None else scores + bias).softmax(dim=-1)
        return (weights @ values).transpose(0, 1).flatten(1)
