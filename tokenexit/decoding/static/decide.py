"""Who leaves at an exit, on fixed shapes: ``rule_decide`` in other words, unseen by the host."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit.decoding.outcome import Rows
from tokenexit.decoding.static.form import Form
from tokenexit.decoding.static.network import Network
from tokenexit.decoding.static.room import Room
from tokenexit.policies.rule import OF_LOGITS
from tokenexit.policies.rule_decide import score
from tokenexit.policies.shortlist import best_words

KNOWN = OF_LOGITS | {"never", "depth", "gate", "saturation", "context"}
"""Scores that are computed here."""


def decide(
    network: Network, room: Room, form: Form, layer: int, hidden: Tensor, logits: Tensor | None
) -> Tensor:
    """Who would leave, ``[R]`` bool, whether there or not; what is remembered is written down.

    Args:
        network: The network.
        room: The memory, which has the thresholds.
        form: Who is asked what.
        layer: From 1.
        hidden: States after it, ``[R, H]``.
        logits: Of all words, ``[R, V]``, if they are known.
    """
    rule, limit = form.rule, room.lines[layer - 1]
    if rule.score in OF_LOGITS:
        told = _shown(network, room, form, layer, hidden, logits)
        number = _of_logits(room, form, told)
    else:
        number = _number(network, room, form, layer, hidden)
    halt = number < limit if rule.low else number > limit
    if rule.patience > 1:
        room.count.copy_((room.count + 1) * halt)
        halt = room.count >= rule.patience
    return halt


def _shown(
    network: Network, room: Room, form: Form, layer: int, hidden: Tensor, logits: Tensor | None
) -> Tensor:
    """The logits that the rule sees, ``[R, V]``, or ``[R, K]`` of a shortlist."""
    size, decoder = form.rule.shortlist, network.decoder
    if size and form.listed(layer):
        words = room.list_of(min(size, network.vocabulary))
        return decoder.vocabulary(decoder.finish(hidden), words)
    assert logits is not None
    if not size:
        return logits
    shown, words = best_words(logits, min(size, network.vocabulary))
    room.list_of(words.shape[1]).copy_(words)
    return shown


def _of_logits(room: Room, form: Form, logits: Tensor) -> Tensor:
    kept = {"patience": room.last, "change": room.told}.get(form.rule.score)
    number, now = score(form.rule, logits, kept)
    if kept is not None and now is not None:
        kept.copy_(now)
    return number


def _number(network: Network, room: Room, form: Form, layer: int, hidden: Tensor) -> Tensor:
    """What is compared where that is no score of logits, ``[R]`` float32."""
    score = form.rule.score
    if score == "depth":
        return room.depth.float()
    if score == "gate":
        gate = network.exits.gate
        assert gate is not None
        return gate.score(network.decoder.finish(hidden))
    if score == "context":
        return _judged(network, room, form, layer, hidden)
    if layer == network.exits.layers[0]:
        return torch.full_like(hidden[:, 0], -1.0, dtype=torch.float32)
    cosine = F.cosine_similarity(hidden.float(), room.previous.float(), dim=-1)
    return cosine.clamp(-1.0, 1.0)


def _judged(network: Network, room: Room, form: Form, layer: int, hidden: Tensor) -> Tensor:
    """How likely each exit is wrong by the context gate, ``[R]``, which remembers it."""
    gate, reach = network.exits.context, network.reach
    assert gate is not None
    newest = room.place[:, None] + reach - 1
    last = newest - torch.arange(reach, device=hidden.device)
    signals = Rows.of(room.tokens, room.place).signals(
        layer,
        network.layers,
        network.decoder.finish(hidden),
        head=lambda _: network.exits.score(hidden),
        last_depths=room.depths.gather(1, last),
        last_doubts=room.doubts.gather(1, last),
    )
    first = layer == form.first_asked
    wrong, memory = gate.step(signals, None if first else room.remembered)
    room.remember(memory)
    old = room.doubts.gather(1, newest + 1)
    noted = torch.where(room.alive[:, None], wrong.float()[:, None], old)
    room.doubts.scatter_(1, newest + 1, noted)
    return wrong
