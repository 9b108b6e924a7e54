"""Everything between two decisions as one function of memory of fixed size.

Layers, head and rule: what is captured, exactly. Nothing in here is looked at by the host.
Sequences that have left ride along, with the state they left with: so the layers above get keys
and values of it at no cost but their share of a product.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tokenexit.decoding.static.decide import decide
from tokenexit.decoding.static.form import Form
from tokenexit.decoding.static.layer import bias_of, run_layer, run_window, see
from tokenexit.decoding.static.network import Network
from tokenexit.decoding.static.room import Room
from tokenexit.static.segment import Segment


def enter(network: Network, room: Room) -> Tensor:
    """Embed the tokens to read at the next place, ``[R, H]``; all that live are there."""
    room.place.add_(1)
    room.alive.copy_(room.live)
    room.exit_layer.copy_(room.live.long() - 1)
    room.count.zero_()
    room.last.fill_(-1)
    room.told.fill_(float("nan"))
    if network.reach:
        room.doubts.scatter_(1, _note(network, room), 0.0)
    return network.decoder.embed(room.tokens, room.place)


def run(network: Network, room: Room, form: Form, segment: Segment, width: int) -> None:
    """Compute a segment for the newest tokens, and let sequences leave.

    Args:
        network: The network.
        room: The memory.
        form: Who is asked what.
        segment: Which layers.
        width: Places that are read.
    """
    first, hidden = segment.number == 0, room.hidden
    if first:
        hidden = enter(network, room)
        see(room, width)
    for layer in range(segment.first, segment.last + 1):
        made = run_layer(network, room, layer - 1, hidden, width)
        # In the first segment all are there; whoever has left above it keeps its state.
        stays = None if first else room.alive[:, None]
        hidden = made if stays is None else torch.where(stays, made, hidden.to(made.dtype))
        _look(network, room, form, segment, layer, hidden)
    if segment.last < network.layers:
        room.states.index_copy_(1, room.here, hidden[:, None].to(room.states.dtype))
    leave(network, room, form, segment, hidden)


def run_pending(
    network: Network, room: Room, form: Form, segment: Segment, width: int, count: int
) -> None:
    """The same together with tokens that left early and have not gone through its layers yet.

    Args:
        network: As of ``run``.
        room: As there.
        form: As there.
        segment: As there.
        width: As there.
        count: The last so many tokens of each sequence are looked at.
    """
    if segment.number == 0:
        enter_pending(network, room)

    def look(layer: int, hidden: Tensor) -> None:
        _look(network, room, form, segment, layer, hidden)

    hidden = through(network, room, (segment.first, segment.last), width, count, look)
    leave(network, room, form, segment, hidden)


def enter_pending(network: Network, room: Room) -> None:
    """As ``enter``; the newest tokens are kept with those that left before."""
    hidden = enter(network, room)[:, None].to(room.states.dtype)
    here = room.place[:, None]
    room.states.scatter_(1, here[..., None].expand_as(hidden), hidden)
    room.reached.scatter_(1, here, 0)


def through(
    network: Network,
    room: Room,
    layers: tuple[int, int],
    width: int,
    count: int,
    look: Callable[[int, Tensor], None],
) -> Tensor:
    """Take the last tokens of sequences that are there through layers they have not seen.

    Args:
        network: The network.
        room: The memory.
        layers: The first and the last, from 1.
        width: Places that are read.
        count: How many tokens of each sequence are looked at.
        look: Is shown the newest tokens after each layer.

    Returns:
        States of the newest tokens, ``[R, H]``.
    """
    back = room.numbers[:count].flip(0)
    # The first again and again, with one result.
    places = (room.place[:, None] - back).clamp_min(0)
    index = places[..., None].expand(-1, -1, room.states.shape[2])
    hidden, reached = room.states.gather(1, index), room.reached.gather(1, places)
    bias, alive = bias_of(room, places, width), room.alive[:, None]
    for layer in range(layers[0], layers[1] + 1):
        takes = (reached == layer - 1) & alive
        made = run_window(network, room, layer - 1, hidden, places, bias, takes)
        hidden = torch.where(takes[..., None], made.to(hidden.dtype), hidden)
        reached = reached + takes
        look(layer, hidden[:, -1])
    room.states.scatter_(1, index, hidden)
    room.reached.scatter_(1, places, reached)
    return hidden[:, -1]


def leave(network: Network, room: Room, form: Form, segment: Segment, hidden: Tensor) -> None:
    """Ask the rule, and let sequences leave with their state; at the top all leave."""
    layer, top = segment.last, segment.last == form.top
    first = segment.number == 0
    logits = None
    if top or form.scores_all or (form.rule.shortlist and not form.listed(layer)):
        logits = network.exits.score(hidden)
        # Whoever left keeps what it left with, unless that was not scored then.
        kept = form.scores_all and not first
        room.logits.copy_(torch.where(room.alive[:, None], logits, room.logits) if kept else logits)
    if top:
        halt = room.alive
        if network.reach and form.rule.score == "context" and form.rule.asked[layer - 1]:
            decide(network, room, form, layer, hidden, logits)  # of drafts: its doubt is noted
    else:
        halt = decide(network, room, form, layer, hidden, logits) & room.alive
    room.exit_layer.add_(halt * layer)
    room.alive.copy_(room.alive & ~halt)
    room.hidden.copy_(hidden)
    if not top:
        _keep_previous(network, room, form, hidden)
    if network.reach:
        share = room.exit_layer.clamp_min(0).to(room.depths.dtype) / network.layers
        room.depths.scatter_(1, _note(network, room), share[:, None])


def score_all(network: Network, room: Room) -> None:
    """Score every sequence by the state it left with."""
    room.logits.copy_(network.exits.score(room.hidden))


def _look(
    network: Network, room: Room, form: Form, segment: Segment, layer: int, hidden: Tensor
) -> None:
    """Remember states at an exit at which nobody is asked."""
    if layer in network.exits.layers and layer < segment.last:
        _keep_previous(network, room, form, hidden)


def _keep_previous(network: Network, room: Room, form: Form, hidden: Tensor) -> None:
    if form.rule.score == "saturation":
        room.previous.copy_(hidden)


def check(network: Network, room: Room, width: int, count: int) -> None:
    """Take the newest tokens and all pending ones to the top; nobody is asked anything.

    Args:
        network: The network.
        room: The memory.
        width: Places that are read.
        count: As ``run_pending``.
    """
    enter_pending(network, room)
    through(network, room, (1, network.layers), width, count, lambda layer, hidden: None)
    if network.reach:
        room.depths.scatter_(1, _note(network, room), 1.0)


def _note(network: Network, room: Room) -> Tensor:
    """Where it is noted what becomes of the newest tokens, ``[R, 1]``."""
    return room.place[:, None] + network.reach
