"""What a step has computed for sequences that live; what only fills up a shape is not counted."""

from __future__ import annotations

import numpy as np

from tokenexit.decoding.cache import Index
from tokenexit.decoding.static.form import Form
from tokenexit.decoding.static.sequences import StaticSequences


def count_step(decoding: StaticSequences, form: Form, place: int, upto: int, layers: Index) -> None:
    """Count a step.

    Args:
        decoding: Whose work it is.
        form: Who was asked what.
        place: Of the tokens.
        upto: The last layer that ran.
        layers: Where each sequence left, ``[R]``; 0 for those that do not live.
    """
    work, live = decoding.work, int((layers > 0).sum())
    there = layers >= np.arange(1, upto + 1)[:, None]
    rows = there.sum(axis=1).tolist()
    if not form.window:
        reads = np.repeat(decoding.lengths, decoding.lanes)[: len(layers)] + place + 1
        for index, (count, pairs) in enumerate(zip(rows, (there @ reads).tolist(), strict=True)):
            work.layer(index, count, live, pairs, 0)
    for layer in (*form.asked_before, form.top):
        if layer <= upto:
            _count_exit(decoding, form, layer, rows[layer - 1], live)
    late = not (form.scores_all or upto == form.top)
    if late and not (form.rule.shortlist and not form.listed(upto)):
        _scored(decoding, upto, live)


def count_window(decoding: StaticSequences, before: Index, layers: Index) -> None:
    """Count layers that took in pending tokens.

    Args:
        decoding: Whose work it is.
        before: Places that were filled, ``[L, R]``.
        layers: As ``count_step``.
    """
    sources = np.repeat(decoding.lengths, decoding.lanes)[: len(layers)]
    for index in range(int(layers.max(initial=0))):
        there = layers > index
        start, end = before[index][there], decoding.steps[there] + 1
        tokens = end - start
        own = end * (end + 1) // 2 - start * (start + 1) // 2
        pairs = int((own + tokens * sources[there]).sum())
        decoding.work.layer(index, int(tokens.sum()), int(tokens.sum()), pairs, 0)


def _count_exit(decoding: StaticSequences, form: Form, layer: int, there: int, live: int) -> None:
    rule, work = form.rule, decoding.work
    if layer == form.top:
        _scored(decoding, layer, there if form.scores_all else live)
    elif form.listed(layer):
        work.scored(layer - 1, there * rule.shortlist, there * rule.shortlist)
    elif form.scores_all or rule.shortlist:
        _scored(decoding, layer, there)
    elif rule.score == "gate":
        work.gated(layer - 1, there)
    elif rule.score == "context":
        gate = decoding.exits.context
        assert gate is not None
        work.judged(layer - 1, there * gate.macs)
        if gate.of_logits:
            _scored(decoding, layer, there)


def _scored(decoding: StaticSequences, layer: int, rows: int) -> None:
    size = decoding.network.vocabulary
    decoding.work.scored(layer - 1, rows * size, size)
