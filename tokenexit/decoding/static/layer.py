"""One decoder layer on all sequences of the memory, and what it needs made beforehand."""

from __future__ import annotations

import torch
from torch import Tensor

from tokenexit.decoding.attention import attend
from tokenexit.decoding.static.network import Network
from tokenexit.decoding.static.room import Room


def see(room: Room, width: int) -> None:
    """Make what the newest place adds to its scores, in all layers: bias and causal mask."""
    keys = room.numbers[:width]
    distance = room.here - keys
    room.bias[0, :, 0, :width].copy_(_bias(room, distance))


def bias_of(room: Room, places: Tensor, width: int) -> Tensor:
    """The same for places of each sequence, ``[R, n] -> [R, h, n, W]``."""
    return _bias(room, places[..., None] - room.numbers[:width]).transpose(0, 1)


def _bias(room: Room, distance: Tensor) -> Tensor:
    """Of keys so far back, ``[...] -> [h, ...]``; one head for all where there is no bias."""
    if room.distances is None:
        found = room.bias.new_zeros(1, *distance.shape)
    else:
        found = room.distances[:, distance.clamp_min(0)]
    return found.masked_fill(distance < 0, float("-inf"))


def run_layer(network: Network, room: Room, index: int, hidden: Tensor, width: int) -> Tensor:
    """A layer on the newest token of every sequence, ``[R, H] -> [R, H]``.

    Args:
        network: The network.
        room: Gets the layer's keys and values.
        index: Layer, from 0.
        hidden: States that enter it.
        width: Places that are read.
    """
    decoder = network.decoder
    query, made = decoder.self_projections(index, hidden)
    store = room.keys_values[index]
    shape = len(made), 2, decoder.num_heads, 1, -1
    store.index_copy_(3, room.here, made.view(shape).to(store.dtype))
    asked = query.view(len(query), decoder.num_heads, 1, -1)
    read = _read(network, room, index, asked, room.bias[..., :width], width)
    return after_attention(network, room, index, hidden, read.view(query.shape))


def run_window(
    network: Network, room: Room, index: int, hidden: Tensor, places: Tensor, bias: Tensor,
    takes: Tensor,
) -> Tensor:  # fmt: skip
    """A layer on several tokens of every sequence, ``[R, n, H] -> [R, n, H]``.

    Args:
        network: The network.
        room: Gets the layer's keys and values of tokens that take part.
        index: Layer, from 0.
        hidden: States that enter it.
        places: Of the tokens, ``[R, n]``.
        bias: From ``bias_of``.
        takes: Which tokens take part, ``[R, n]``; the states of others mean nothing.
    """
    decoder = network.decoder
    rows, count = hidden.shape[:2]
    query, made = decoder.self_projections(index, hidden.flatten(0, 1))
    store = room.keys_values[index]
    made = made.view(rows, count, 2, decoder.num_heads, -1).permute(0, 2, 3, 1, 4).to(store.dtype)
    where = places[:, None, None, :, None].expand_as(made)
    made = torch.where(takes[:, None, None, :, None], made, store.gather(3, where))
    store.scatter_(3, where, made)
    asked = query.view(rows, count, decoder.num_heads, -1).transpose(1, 2)
    read = _read(network, room, index, asked, bias, bias.shape[-1])
    read = read.transpose(1, 2).reshape(query.shape)
    return after_attention(network, room, index, hidden.flatten(0, 1), read).view_as(hidden)


def _read(
    network: Network, room: Room, index: int, asked: Tensor, bias: Tensor, width: int
) -> Tensor:
    keys, values = room.keys_values[index, ..., :width, :].unbind(1)
    return attend(network.decoder, asked, keys, values, bias)


def after_attention(
    network: Network, room: Room, index: int, hidden: Tensor, read: Tensor
) -> Tensor:
    """The rest of the layer, ``[N, H]``; ``N`` is a multiple of the sources, source by source."""
    decoder, sources = network.decoder, room.sizes.sources
    hidden = decoder.after_self(index, hidden, read)
    query = decoder.cross_query(index, hidden)
    asked = query.view(sources, -1, decoder.num_heads, query.shape[1] // decoder.num_heads)
    keys, values = room.source[index].unbind()
    found = attend(decoder, asked.transpose(1, 2), keys, values, room.source_mask)
    hidden = decoder.after_cross(index, hidden, found.transpose(1, 2).reshape(query.shape))
    return decoder.feed_forward(index, hidden)


def project_sources(network: Network, room: Room, first: int, last: int) -> None:
    """Keys and values of the sources in some layers, from 1, which somebody now reaches."""
    heads = network.decoder.num_heads
    for index in range(first - 1, last):
        made = network.decoder.cross_keys_values(index, room.memory)
        for store, rows in zip(room.source[index], made, strict=True):
            store.copy_(rows.unflatten(-1, (heads, -1)).transpose(1, 2))


def fill(network: Network, room: Room, first: int, last: int, count: int) -> None:
    """Keys and values of the states that tokens left with, in layers that they skipped.

    Args:
        network: The network.
        room: ``start`` is the first of their places.
        first: Layer, from 1.
        last: Layer.
        count: How many places.
    """
    decoder = network.decoder
    places = room.start + room.numbers[:count]
    states = room.states.index_select(1, places).flatten(0, 1)
    for index in range(first - 1, last):
        store = room.keys_values[index]
        made = decoder.self_keys_values(index, states)
        made = made.view(room.sizes.rows, count, 2, decoder.num_heads, -1)
        store.index_copy_(3, places, made.permute(0, 2, 3, 1, 4).to(store.dtype))
