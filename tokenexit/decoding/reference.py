"""The plain reference: token by token, row by row, nothing packed, nothing cached but states.

Every key and value is made again from states whenever it is read. Slow, obvious, and equal to
the engine: tests hold the engine to it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tokenexit.decoders import Decoder
from tokenexit.decoding.exits import Exits
from tokenexit.decoding.layer import Pending
from tokenexit.decoding.work import DecodeWork
from tokenexit.policies import Policy
from tokenexit.signals import Signals


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

    Returns:
        Scores of the next tokens, ``[R, T, V]``, and exit layers, ``[R, T]``.
    """
    logits, layers = [], []
    for row in range(len(tokens)):
        source = memory[row][mask[row].bool()]
        columns: list[list[Tensor]] = []  # of each token: its state before each layer, [1, H]
        for place, token in enumerate(tokens[row]):
            at = torch.tensor([place], device=token.device)
            columns.append([decoder.embed(token[None], at)])
            found, layer = _climb(
                decoder, exits, columns, source, token, policy, pending == "parallel", max_steps
            )
            logits.append(found)
            layers.append(layer)
            if pending != "parallel":  # the layers it skips read the state it left with
                columns[place] += [columns[place][-1]] * (decoder.num_layers - layer)
    shape = tokens.shape
    return torch.cat(logits).unflatten(0, shape), torch.tensor(layers).unflatten(0, shape)


def _climb(
    decoder: Decoder,
    exits: Exits,
    columns: list[list[Tensor]],
    source: Tensor,
    token: Tensor,
    policy: Policy,
    parallel: bool,
    max_steps: int | None,
) -> tuple[Tensor, int]:
    """Take the newest token up the layers until it leaves; its scores and exit layer."""
    none = torch.zeros(1, dtype=torch.long, device=token.device)
    state, previous = policy.init(1, token.device), None
    for layer in range(1, decoder.num_layers + 1):
        for place, column in enumerate(columns):
            # Tokens that skipped the layer go through it first, if that is the rule.
            if len(column) == layer and (parallel or place == len(columns) - 1):
                column.append(_layer(decoder, layer - 1, columns[: place + 1], source))
        hidden = columns[-1][layer]
        if layer == decoder.num_layers:
            break
        if layer not in exits.layers:
            continue
        signals = Signals(
            layer=layer,
            num_layers=decoder.num_layers,
            hidden=hidden,
            sequence=none,
            position=none,
            item_id=token[None],
            num_sequences=1,
            extent=1,
            step=none + len(columns) - 1,
            num_steps=max_steps,
            previous=None if previous is None else lambda before=previous: before,
            **exits.heads(layer, DecodeWork(decoder.num_layers)),
        )
        halt, state = policy.step(signals, state)
        if halt.item():
            break
        previous = hidden
    return exits.score(hidden), layer


def _layer(decoder: Decoder, index: int, columns: list[list[Tensor]], source: Tensor) -> Tensor:
    """One layer for the last of some tokens, which reads all of them, ``[1, H]``."""
    rows = columns[-1][index]
    places = torch.arange(len(columns), device=rows.device)
    keys, values = decoder.self_keys_values(index, torch.cat([column[index] for column in columns]))
    bias = decoder.bias(places[-1:], places)
    read = _attend(decoder, decoder.self_query(index, rows), keys, values, bias)
    rows = decoder.after_self(index, rows, read)
    keys, values = decoder.cross_keys_values(index, source)
    read = _attend(decoder, decoder.cross_query(index, rows), keys, values, None)
    return decoder.feed_forward(index, decoder.after_cross(index, rows, read))


def _attend(
    decoder: Decoder, query: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None
) -> Tensor:
    """Attention of one token to ``M`` others, ``[1, I], 2 x [M, I] -> [1, I]``."""
    shape = (decoder.num_heads, -1)
    query, keys, values = (x.unflatten(-1, shape).transpose(0, 1) for x in (query, keys, values))
    scores = query @ keys.mT * decoder.scaling  # [heads, 1, M]
    weights = (scores if bias is None else scores + bias).softmax(dim=-1)
    return (weights @ values).transpose(0, 1).flatten(1)
