"""Multiply-accumulates in closed form, from the rows a run really worked on.

Embeddings, norms, activations and softmax are not multiply-accumulates and count nothing,
here as in torch's counter. Exit heads, gates, scorers, selectors and the confidence score count. So
do the lower layers of n-grams that are computed; those that are looked up count nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokenexit.backbones import Backbone
from tokenexit.halting.trace import Work
from tokenexit.heads import ExitHeads


def macs(backbone: Backbone, heads: ExitHeads, work: Work) -> int:
    """Multiply-accumulates of a run of the engine.

    An absorbed query costs ``2 H I``, ``I`` being the width of all heads together (its probe and
    its read-out, the query projection being counted with all active rows) and ``2 H heads`` for
    each row it reads. A scored row costs its head and one product a class for the confidence.
    """
    width = backbone.hidden_size
    classes = int(backbone.config.num_labels)
    total = 0
    for index, done in enumerate(work):
        cost = backbone.cost(index)
        top = index + 1 == backbone.num_layers
        total += done.active * cost.query + (done.active - done.spared) * cost.combine
        total += done.projected * cost.key_value + done.pairs * cost.pair
        total += done.absorbed * 2 * width * backbone.inner(index)
        total += done.absorbed_pairs * 2 * width * backbone.heads(index)
        total += done.ranked * width + done.calls * cost.fixed
        if done.head:
            scored = backbone.classify_cost() if top else heads.at(index + 1).macs
            total += done.head * (scored + (0 if top else classes))
        total += done.gate * (0 if heads.gate is None else heads.gate.macs)
        if done.scored:
            assert heads.scorers is not None
            total += done.scored * heads.scorers.at(index + 1).macs
        total += done.embedded * heads.embeddings.macs - done.unselected
        if done.selecting:
            assert heads.selectors is not None
            total += done.selecting * heads.selectors.macs(index + 1)
        total += done.context * (0 if heads.context is None else heads.context.macs)
    return total


def plain_macs(backbone: Backbone, lengths: Iterable[int], batches: int = 1) -> int:
    """Multiply-accumulates of the plain transformers model on real tokens only.

    Args:
        backbone: The model.
        lengths: Tokens of each sentence, special tokens included, padding not.
        batches: Forward calls, for costs that do not depend on rows.
    """
    lengths = list(lengths)
    tokens, pairs = sum(lengths), sum(n * n for n in lengths)
    total = (len(lengths) if backbone.of_texts else tokens) * backbone.classify_cost()
    for index in range(backbone.num_layers):
        cost = backbone.cost(index)
        total += tokens * (cost.query + cost.key_value + cost.combine)
        total += pairs * cost.pair + batches * cost.fixed
    return total
