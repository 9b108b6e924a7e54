"""The columns of a trace, gathered from the results of its batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tokenexit.halting import Decisions, PackedBatch
from tokenexit.models.encoders.encoding import TextWindow
from tokenexit.scores import log_probabilities


def columns_of(
    batch: PackedBatch, decided: Decisions, chunk: Sequence[TextWindow], regression: bool
) -> dict[str, np.ndarray]:
    """The words of one batch that its windows answer for, in order of text and position.

    Args:
        batch: What was computed.
        decided: Where its words left.
        chunk: The windows it was packed from.
        regression: Whether exits predict numbers, which have no probabilities.
    """
    scores = decided.logits.float() if regression else log_probabilities(decided.logits)
    log_probs = scores.cpu().numpy()
    place = batch.word_position.cpu().numpy()
    gold = (
        np.full(len(place), -100) if batch.word_target is None else batch.word_target.cpu().numpy()
    )
    if len(chunk) == 1 and chunk[0].keep == (0, len(place)):  # one whole text, in order
        return {
            "text": np.full(len(place), chunk[0].text),
            "position": place,
            "exit_layer": decided.exit_layers.cpu().numpy(),
            "log_probs": log_probs,
            "gold": gold,
        }
    sequence = batch.order[batch.word_sequence.cpu().numpy()]
    first = np.array([window.first for window in chunk])
    keep = np.array([window.keep for window in chunk]).reshape(-1, 2)
    text = np.array([window.text for window in chunk])
    position = place + first[sequence]
    mine = (position >= keep[sequence, 0]) & (position < keep[sequence, 1])
    order = np.lexsort((position, text[sequence]))
    order = order[mine[order]]
    return {
        "text": text[sequence][order],
        "position": position[order],
        "exit_layer": decided.exit_layers.cpu().numpy()[order],
        "log_probs": log_probs[order],
        "gold": gold[order],
    }
