"""One decoder layer on a block of tokens."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from tokenexit.decoders import Decoder
from tokenexit.decoding.block import Block
from tokenexit.decoding.cache import DecoderCache, Index
from tokenexit.decoding.source import Source
from tokenexit.decoding.work import DecodeWork

Pending = Literal["lazy", "eager", "parallel"]
PENDING: tuple[Pending, ...] = ("lazy", "eager", "parallel")
"""What tokens that left early give to later ones in the layers they skipped.

``eager``: each layer's keys and values of their last state, made when they leave (CALM, DAT).
``lazy``: the same, made when a later token arrives at the layer; equal, and often spared.
``parallel``: the layer itself, run on them together with the later token (FREE).
"""


def run_layer(
    decoder: Decoder,
    index: int,
    hidden: Tensor,
    block: Block,
    cache: DecoderCache,
    source: Source,
    bias: Tensor | None,
    work: DecodeWork,
) -> Tensor:
    """Compute a layer for a block; whatever its sequences lack below is made up first.

    Args:
        decoder: The network.
        index: Layer, from 0.
        hidden: States that enter the layer, ``[N, H]``.
        block: Which tokens they belong to.
        cache: Of their sequences; gets the layer's keys and values.
        source: What cross-attention reads.
        bias: ``block.bias_of(decoder)``.
        work: Counts what is done.

    Returns:
        States after the layer, ``[N, H]``.
    """
    missing = _missing(cache.filled[index], block)
    if missing is None:
        query, keys_values = decoder.self_projections(index, hidden)
        where = block.where
    else:
        # Pending tokens join the product of the active ones: one reading of the weights.
        query = decoder.self_query(index, hidden)
        pending = cache.flat(*missing)
        keys_values = decoder.self_keys_values(index, torch.cat([cache.states(pending), hidden]))
        where = torch.cat([pending, cache.flat(block.rows, block.places)])
    cache.write(index, where, keys_values)
    cache.filled[index][block.rows] = block.places + 1
    read = block.self_attention(decoder, index, query, bias)
    hidden = decoder.after_self(index, hidden, read)
    before = source.projected[index]
    read = block.cross_attention(source, index, decoder.cross_query(index, hidden))
    hidden = decoder.after_cross(index, hidden, read)
    work.layer(
        index, len(block), len(keys_values), block.pairs(source), source.projected[index] - before
    )
    return decoder.feed_forward(index, hidden)


def propagate(
    decoder: Decoder,
    start: int,
    states: Tensor,
    block: Block,
    cache: DecoderCache,
    work: DecodeWork,
) -> None:
    """Give tokens that leave keys and values in every layer from ``start`` on (eager copying)."""
    for index in range(start, decoder.num_layers):
        cache.write(index, block.where, decoder.self_keys_values(index, states))
        cache.filled[index][block.rows] = block.places + 1
        work.propagated(index, len(states))


def _missing(filled: Index, block: Block) -> tuple[Index, Index] | None:
    """Sequences and places of tokens that skipped a layer which the block now enters."""
    rows, first = block.begins
    starts = filled[rows]
    counts = first - starts
    if not counts.any():
        return None
    rows, starts, counts = rows[counts > 0], starts[counts > 0], counts[counts > 0]
    offsets = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(rows, counts), np.repeat(starts, counts) + offsets
