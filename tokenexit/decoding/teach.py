"""Teacher forcing with exits: whole targets at once, and a visitor that may halt tokens.

Dense and masked: training needs every exit of most tokens anyway. A halted token keeps its
state, and every later layer computes keys and values from it, as in generation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.decoders import Decoder
from tokenexit.decoding.exits import Exits
from tokenexit.decoding.work import DecodeWork
from tokenexit.signals import Signals


@dataclass(frozen=True, eq=False)
class Pair:
    """One source and what should come out of it.

    Attributes:
        input_ids: Tokens of the source, special tokens included.
        targets: Tokens to generate, the end token included; -100 where nothing is learned.
        reading: What the decoder reads, one token before each target.
    """

    input_ids: Sequence[int]
    targets: Sequence[int]
    reading: Sequence[int]

    def unlabelled(self) -> Self:
        """The same with nothing to learn."""
        return replace(self, targets=[-100] * len(self.targets))

    @property
    def length(self) -> int:
        """How much work it is, roughly: batches gather pairs of like length."""
        return len(self.targets) * 1000 + len(self.input_ids)


class Pupil(Protocol):
    """Told when tokens arrive at an exit: a lesson of an objective, or a visitor in tests."""

    def arrive(self, signals: Signals, words: Tensor) -> Tensor | None:
        """See ``halting.Visitor``; a word is a target token."""
        ...

    def leave(self, halted: Tensor, staying: Tensor) -> None:
        """See ``halting.Visitor``."""
        ...


@dataclass(frozen=True, eq=False)
class PairBatch:
    """Pairs, padded on the right.

    Attributes:
        input_ids: ``[B, S]``.
        attention_mask: ``[B, S]``, 1 for real tokens.
        reading: ``[B, T]``.
        targets: ``[B, T]``, -100 where nothing is learned, padding included.
        real: ``[B, T]`` bool, padding excluded.
    """

    input_ids: Tensor
    attention_mask: Tensor
    reading: Tensor
    targets: Tensor
    real: Tensor

    @classmethod
    def of(cls, pairs: Sequence[Pair], pad: int, device: torch.device | str) -> PairBatch:
        """Pad pairs to one shape."""

        def padded(rows: Sequence[Sequence[int]], fill: int) -> Tensor:
            tensors = [torch.tensor(list(row), dtype=torch.long) for row in rows]
            return torch.nn.utils.rnn.pad_sequence(tensors, True, fill).to(device)

        sources = [pair.input_ids for pair in pairs]
        return cls(
            input_ids=padded(sources, pad),
            attention_mask=padded([[1] * len(source) for source in sources], 0),
            reading=padded([pair.reading for pair in pairs], pad),
            targets=padded([pair.targets for pair in pairs], -100),
            real=padded([[1] * len(pair.targets) for pair in pairs], 0).bool(),
        )


def teach(
    decoder: Decoder,
    exits: Exits,
    batch: PairBatch,
    pupil: Pupil,
    *,
    fork: Callable[[int, Tensor], tuple[Tensor, Tensor]] | None = None,
    skip: Callable[[int], Tensor | None] | None = None,
    memory: Tensor | None = None,
) -> list[Tensor]:
    """Run whole targets through the decoder, showing every exit to a pupil.

    Args:
        decoder: The network.
        exits: Where tokens may leave.
        batch: Pairs, padded.
        pupil: Who sums up a loss, and may halt tokens.
        fork: Splits states between the exit's head and the next layer, ``[B * T, H]``.
        skip: Which pairs leave out a layer (from 1), ``[B]`` bool, or None: layer dropout.
        memory: Encoder states, when they are there already.

    Returns:
        States of all cells after each layer, ``[B * T, H]`` each.
    """
    if memory is None:
        memory = decoder.encode(batch.input_ids, batch.attention_mask)
    work = DecodeWork(decoder.num_layers)
    size, extent = batch.reading.shape
    places = torch.arange(extent, device=batch.reading.device)
    cells = places.expand(size, -1)
    hidden = decoder.embed(batch.reading.flatten(), cells.flatten())
    later = places > places[:, None]
    bias = decoder.bias(places, places)
    causal = torch.zeros_like(later, dtype=hidden.dtype) if bias is None else bias
    causal = causal.masked_fill(later, float("-inf"))
    source_mask = batch.attention_mask.bool()[:, None, None]

    # Words are the real target tokens, pair after pair.
    cell = batch.real.flatten().nonzero().squeeze(-1)
    words = torch.arange(len(cell), device=cell.device)
    halted = torch.zeros(size * extent, dtype=torch.bool, device=cell.device)
    previous: Callable[[], Tensor] | None = None
    states: list[Tensor] = []
    for layer in range(1, decoder.num_layers + 1):
        new = _layer(decoder, layer - 1, hidden, causal, memory, source_mask, (size, extent))
        kept = halted
        left_out = skip(layer) if skip is not None else None
        if left_out is not None:
            kept = kept | left_out.repeat_interleave(extent)
        hidden = torch.where(kept[:, None], hidden, new)
        top = layer == decoder.num_layers
        if (top or layer in exits.layers) and len(cell):
            shown = hidden
            if fork is not None and not top:
                shown, hidden = fork(layer, hidden)
            seen = shown[cell]
            signals = Signals(
                layer=layer,
                num_layers=decoder.num_layers,
                hidden=seen,
                sequence=cell // extent,
                position=cell % extent,
                item_id=batch.reading.flatten()[cell],
                num_sequences=size,
                extent=extent,
                step=cell % extent,
                num_steps=extent,
                target=batch.targets.flatten()[cell],
                previous=previous,
                **exits.heads(layer, work),
            )
            halt = pupil.arrive(signals, words)
            if top:
                halt = signals.none().logical_not_()
            if halt is None or not halt.any():
                previous = partial(_same, seen)
            else:
                stay = (~halt).nonzero().squeeze(-1)
                pupil.leave(halt.nonzero().squeeze(-1), stay)
                halted = halted.index_fill(0, cell[halt], True)
                cell, words = cell[stay], words[stay]
                previous = partial(torch.index_select, seen, 0, stay)
        states.append(hidden)
    return states


def _layer(
    decoder: Decoder,
    index: int,
    hidden: Tensor,
    causal: Tensor,
    memory: Tensor,
    source_mask: Tensor,
    shape: tuple[int, int],
) -> Tensor:
    """One layer for all cells, ``[B * T, H]``."""
    dropout = decoder.attention_dropout(index)

    def read(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        heads = [
            x.reshape(shape[0], -1, decoder.num_heads, x.shape[-1] // decoder.num_heads).transpose(
                1, 2
            )
            for x in (query, keys, values)
        ]
        found = F.scaled_dot_product_attention(
            *heads, attn_mask=mask, dropout_p=dropout, scale=decoder.scaling
        )
        return found.transpose(1, 2).reshape(query.shape)

    query, keys_values = decoder.self_projections(index, hidden)
    keys, values = keys_values.chunk(2, dim=-1)
    hidden = decoder.after_self(index, hidden, read(query, keys, values, causal.to(query.dtype)))
    query = decoder.cross_query(index, hidden)
    keys, values = decoder.cross_keys_values(index, memory)
    hidden = decoder.after_cross(index, hidden, read(query, keys, values, source_mask))
    return decoder.feed_forward(index, hidden)


def _same(hidden: Tensor) -> Tensor:
    return hidden
