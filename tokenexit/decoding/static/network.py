"""What segments compute with, and in which types."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from tokenexit.decoders import Decoder
from tokenexit.decoding.exits import Exits


@dataclass(frozen=True, eq=False)
class Network:
    """A decoder and what is beside it.

    Attributes:
        decoder: The network.
        exits: Where rows may leave, and what they are scored with there.
        states: Type of the states between layers.
        keys: Type of keys and values.
        scores: Type of the logits.
        vocabulary: Words, ``V``.
        device: Where it is.
    """

    decoder: Decoder
    exits: Exits
    states: torch.dtype
    keys: torch.dtype
    scores: torch.dtype
    vocabulary: int
    device: torch.device

    @property
    def layers(self) -> int:
        """Depth, ``L``."""
        return self.decoder.num_layers

    @property
    def reach(self) -> int:
        """How many of the last tokens the context gate looks at."""
        gate = self.exits.context
        return 0 if gate is None else gate.config.steps


def network_of(decoder: Decoder, exits: Exits) -> Network:
    """A network with its types, found by a token that reads itself.

    Families that keep parts of a layer in float32 when loaded in half widen states on their way.
    """
    device = next(decoder.model.parameters()).device
    with torch.inference_mode():
        zero = torch.zeros(1, dtype=torch.long, device=device)
        hidden = decoder.embed(zero, zero)
        states, keys = hidden.dtype, decoder.model.dtype
        for index in range(decoder.num_layers):
            made = decoder.self_keys_values(index, hidden)
            value = made[:, : decoder.inner_size]
            hidden = decoder.after_self(index, hidden, value)
            query = decoder.cross_query(index, hidden)
            hidden = decoder.feed_forward(index, decoder.after_cross(index, hidden, query))
            states = torch.promote_types(states, hidden.dtype)
            keys = torch.promote_types(keys, made.dtype)
        scored = exits.score(hidden)
        return Network(decoder, exits, states, keys, scored.dtype, scored.shape[1], device)
