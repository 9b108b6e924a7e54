"""Teacher forcing with exits: whole targets at once, and a visitor that may halt tokens.

Dense and masked: training needs every exit of most tokens anyway. A halted token keeps its
state, and every later layer computes keys and values from it, as in generation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.decoders import Decoder
from tokenexit.decoding.exits import Exits
from tokenexit.decoding.work import DecodeWork
from tokenexit.halting.visitor import Visitor
from tokenexit.signals import Signals
from tokenexit.transfer import send


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


@dataclass(frozen=True, eq=False)
class Cells:
    """Places of real targets in the flattened grid of a batch.

    Attributes:
        here: Where the batch is, ``[N]``.
        on_host: The same on the host.
        known: Which of them have something to learn, ``[N]`` bool, on the host.
    """

    here: Tensor
    on_host: Tensor
    known: Tensor


@dataclass(frozen=True, eq=False)
class PairBatch:
    """Pairs, padded on the right.

    Attributes:
        input_ids: ``[B, S]``.
        attention_mask: ``[B, S]``, 1 for real tokens.
        reading: ``[B, T]``.
        targets: ``[B, T]``, -100 where nothing is learned, padding included.
        real: ``[B, T]`` bool, padding excluded.
        cells: Where the real targets are; told by ``real`` when None.
    """

    input_ids: Tensor
    attention_mask: Tensor
    reading: Tensor
    targets: Tensor
    real: Tensor
    cells: Cells | None = None

    @property
    def extent(self) -> int:
        """Targets of the longest pair, ``T``."""
        return int(self.reading.shape[1])

    @cached_property
    def cells_on_host(self) -> Tensor:
        """Places of the real targets in the flattened grid, ``[N]``."""
        if self.cells is not None:
            return self.cells.on_host
        return self.real.flatten().cpu().nonzero().squeeze(-1)

    @property
    def num_words(self) -> int:
        """Real targets, ``N``."""
        return len(self.cells_on_host)

    @classmethod
    def of(
        cls, pairs: Sequence[Pair], pad: int, device: torch.device | str, pad_to: int = 1
    ) -> PairBatch:
        """Pad pairs to one shape, and send them in one copy.

        Args:
            pairs: At least one.
            pad: Token that sources are filled up with.
            device: Where they are wanted.
            pad_to: Lengths are multiples of so many tokens.
        """

        def padded(rows: Sequence[Sequence[int]], fill: int) -> Tensor:
            width = -(-max(map(len, rows)) // pad_to) * pad_to
            filled = [[*row, *[fill] * (width - len(row))] for row in rows]
            return torch.tensor(filled, dtype=torch.long)

        sources = [pair.input_ids for pair in pairs]
        targets = padded([pair.targets for pair in pairs], -100)
        real = padded([[1] * len(pair.targets) for pair in pairs], 0).bool()
        cells = real.flatten().nonzero().squeeze(-1)
        made = [
            padded(sources, pad),
            padded([[1] * len(source) for source in sources], 0),
            padded([pair.reading for pair in pairs], pad),
            targets,
            real,
            cells,
        ]
        known = targets.flatten()[cells] != -100
        *grids, here = send(made, device)
        return cls(*grids, cells=Cells(here, cells, known))


def teacher_forcing(
    decoder: Decoder,
    exits: Exits,
    batch: PairBatch,
    visitor: Visitor,
    *,
    fork: Callable[[int, Tensor], tuple[Tensor, Tensor]] | None = None,
    skip: Callable[[int], Tensor | None] | None = None,
    memory: Tensor | None = None,
    compact: bool = True,
) -> list[Tensor]:
    """Run whole targets through the decoder, showing every exit to a visitor.

    Args:
        decoder: The network.
        exits: Where tokens may leave.
        batch: Pairs, padded.
        visitor: Who sums up a loss, and may halt tokens; a word is a target token.
        fork: Splits states between the exit's head and the next layer, ``[B * T, H]``.
        skip: Which pairs leave out a layer (from 1), ``[B]`` bool, or None: layer dropout.
        memory: Encoder states, when they are there already.
        compact: Whether tokens that halt are not shown any more, which the host has to be told
            of. Otherwise they are shown as ``gone``. For training on a GPU.

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

    shown = _Shown(batch)
    halted = torch.zeros(size * extent, dtype=torch.bool, device=hidden.device)
    held = False
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
        if (top or layer in exits.layers) and len(shown.cell):
            looked_at = hidden
            if fork is not None and not top:
                looked_at, hidden = fork(layer, hidden)
            cell = shown.cell
            seen = looked_at.index_select(0, cell)
            gone = halted[cell] if held else None
            target = batch.targets.flatten()[cell]
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
                target=target if gone is None else target.masked_fill(gone, -100),
                previous=previous,
                labelled=None if shown.learning is None else shown.known,
                gone=gone,
                **exits.heads(layer, work),
            )
            halt = visitor.arrive(signals, shown.words)
            previous = partial(_same, seen)
            if top:
                everybody = torch.arange(len(cell), device=cell.device)
                visitor.leave(everybody, everybody[:0])
            elif halt is not None and not compact:
                out = halt if gone is None else halt | gone
                halted, held = halted.index_copy(0, cell, out), True
            elif halt is not None:
                left, stay = shown.retire(halt)
                if len(left):
                    visitor.leave(left, stay)
                    halted = halted.index_fill(0, cell[left], True)
                    previous = partial(torch.index_select, seen, 0, stay)
        states.append(hidden)
    return states


class _Shown:
    """The real target tokens that have not left, pair after pair.

    Args:
        batch: The pairs.
    """

    def __init__(self, batch: PairBatch) -> None:
        cells, real = batch.cells, batch.real
        self.cell = send([batch.cells_on_host], real.device)[0] if cells is None else cells.here
        self.words = torch.arange(len(self.cell), device=self.cell.device)
        self.learning = None if cells is None else cells.known
        self._known: Tensor | None = None

    def known(self) -> Tensor:
        """Places of those that have something to learn, ``[K]``."""
        if self._known is None:
            assert self.learning is not None
            places = self.learning.nonzero().squeeze(-1)
            self._known = send([places], self.cell.device)[0]
        return self._known

    def retire(self, halt: Tensor) -> tuple[Tensor, Tensor]:
        """Show some no more; the host is told.

        Args:
            halt: Which of them, ``[N]`` bool.

        Returns:
            Places of those that left and of those that stay.
        """
        told = halt.cpu()  # the one transfer
        places = [told.nonzero().squeeze(-1), (~told).nonzero().squeeze(-1)]
        left, stay = send(places, self.cell.device)
        if len(left):
            self.cell, self.words = self.cell[stay], self.words[stay]
            self.learning = None if self.learning is None else self.learning[~told]
            self._known = None
        return left, stay


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
