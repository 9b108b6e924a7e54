"""The plain reference: dense, padded, masked. Slow, obvious, and equal to the engine.

Every layer runs on every row with the transformers model's own code; halted rows are then put
back. Nothing is gathered, so nothing can be gathered wrongly: tests hold the engine to it. It
needs no transfer to the host beyond the visitor's own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tokenexit.backbones import Backbone
from tokenexit.halting.packing import PackedBatch
from tokenexit.halting.reference_embedding import embed_dense
from tokenexit.halting.reference_reduction import DenseReduction
from tokenexit.halting.reference_selecting import DenseSelecting
from tokenexit.halting.reference_weighing import DenseWeighing
from tokenexit.halting.rows import Halted
from tokenexit.halting.visitor import Visitor
from tokenexit.heads import ExitHeads
from tokenexit.reducers import Reducer, RowWeights
from tokenexit.selectors import Choose
from tokenexit.signals import Signals


def encode_dense(
    backbone: Backbone,
    heads: ExitHeads,
    batch: PackedBatch,
    visitor: Visitor,
    *,
    halted: Halted = "copy",
    classes: Sequence[str] = (),
    reducer: Reducer | None = None,
    weights: RowWeights | None = None,
    choose: Choose | None = None,
) -> list[Tensor]:
    """Run a batch at full width and mask what has halted.

    Args:
        backbone: The network.
        heads: Exit heads below the top.
        batch: Sentences, packed; unpacked here.
        visitor: Who decides.
        halted: What halted rows still give to the others.
        classes: Names of the classes.
        reducer: Takes rows out, text by text.
        weights: Weighs them instead, likewise.
        choose: What of a layer each text computes, likewise; see ``encode``.

    Returns:
        States of all token rows after each layer, ``[T, H]`` each.
    """
    device = batch.input_ids.device
    sequence = torch.from_numpy(batch.row_sequence).to(device)
    row_word = torch.from_numpy(batch.row_word).to(device)
    first_row = torch.from_numpy(batch.first_row).to(device)
    shape = (batch.num_sequences, int(batch.lengths.max(initial=1)))
    cell = sequence, batch.positions

    ids = torch.zeros(shape, dtype=torch.long, device=device)
    places = torch.zeros(shape, dtype=torch.long, device=device)
    real = torch.zeros(shape, dtype=torch.bool, device=device)
    ids[cell], places[cell], real[cell] = batch.input_ids, batch.positions, True
    segments: tuple[Tensor, ...] = ()
    if batch.segments is not None:
        segments = (torch.zeros_like(ids),)
        segments[0][cell] = batch.segments
    hidden, lower = backbone.embed(ids, places, *segments), heads.embeddings.layers
    if lower:
        hidden = embed_dense(backbone, heads.embeddings, ids, batch.lengths, *segments)

    word_done = torch.zeros(batch.num_words, dtype=torch.bool, device=device)
    halted_row = torch.zeros(shape, dtype=torch.bool, device=device)
    kept_row = real  # by the reducer
    asked = None
    if reducer is not None:
        depths: Tensor | None = None
        if batch.depths is not None:
            depths = torch.zeros_like(ids)
            depths[cell] = batch.depths
        asked = DenseReduction(backbone, reducer, ids, batch.lengths, heads.scorers, depths=depths)
    weighing = None
    if weights is not None:
        weighing = DenseWeighing(backbone, weights, ids, batch.lengths, heads.scorers)
    selecting = None
    if choose is not None or backbone.selected is not None:
        selecting = DenseSelecting(backbone, heads, batch.lengths, choose)
    previous: Tensor | None = None
    past: list[Tensor] = []
    states = [hidden[cell] for _ in range(lower)]
    for layer in range(lower + 1, backbone.num_layers + 1):
        if asked is not None and asked.reducer.place == "before":
            kept_row = asked.keep(layer, hidden, kept_row, halted_row, real)
            hidden = asked.merged_before(hidden)
        attended = real if halted == "copy" else real & ~halted_row
        if asked is not None and asked.reducer.fate != "copy":
            attended = attended & kept_row
        if weighing is not None:
            new = weighing.layer(layer, hidden, halted_row, attended)
        elif selecting is not None:
            new = selecting.layer(layer, hidden, halted_row | ~kept_row, attended)
        else:
            new = backbone.layer(layer - 1, hidden, backbone.context(hidden, attended.long()))
        if asked is not None and asked.reducer.place == "within":
            kept_row = asked.keep(layer, hidden, kept_row, halted_row, attended)
            new = asked.merged_within(layer, hidden, attended, new)
        still = halted_row | ~kept_row
        hidden = torch.where(still[..., None], hidden, new)
        states.append(hidden[cell])
        top = layer == backbone.num_layers
        if not top and layer not in heads.layers:
            continue
        words = (~word_done).nonzero().squeeze(-1)
        if len(words) == 0:
            continue
        rows = hidden[cell]
        if top or heads.pool == "first":
            pooled = rows[first_row]
        else:
            of_words = torch.nn.functional.one_hot(row_word + 1, batch.num_words + 1)[:, 1:]
            if asked is not None and asked.reducer.fate in ("drop", "merge"):
                of_words = of_words * (kept_row & ~asked.merged)[cell][:, None]
            shares = of_words.to(rows.dtype)
            if weighing is not None and weights is not None and weights.fate == "drop":
                shares = shares * (1 if weights.scales else weighing.weights[cell][:, None])
            pooled = (shares.T @ rows) / shares.sum(dim=0)[:, None]
        seen = backbone.finish(pooled)
        before = previous
        signals = Signals(
            layer=layer,
            num_layers=backbone.num_layers,
            hidden=seen[words],
            sequence=batch.word_sequence[words],
            position=batch.word_position[words],
            item_id=batch.word_item[words],
            num_sequences=batch.num_sequences,
            extent=batch.extent,
            head=heads.at(layer) if layer in heads.layers else backbone.classify,
            classes=tuple(classes),
            target=None if batch.word_target is None else batch.word_target[words],
            gate_head=heads.gate,
            previous=None if before is None else lambda b=before, w=words: b[w],
            past=torch.stack(past, dim=1)[words] if past and not top else None,
            first=backbone.finish(rows[first_row])[words] if halted == "restore" else None,
            exit_head=None if top else heads.at(layer),
            context=heads.context,
        )
        halt = visitor.arrive(signals, words)
        halt = signals.none() if halt is None else halt
        if top:
            halt = ~signals.none()
        if halt.any():
            visitor.leave(halt.nonzero().squeeze(-1), (~halt).nonzero().squeeze(-1))
        word_done[words[halt]] = True
        halted_row = torch.zeros_like(halted_row)  # not in place: gradients need the one before
        halted_row[cell] = (row_word >= 0) & word_done[row_word.clamp_min(0)]
        previous = seen
        past += [seen] if heads.reads_past else []
    return states
