"""A table of n-grams is made from a corpus, and known again by the weights that made it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tokenexit.backbones.watch import Watch
from tokenexit.context.fingerprint import changed, fingerprint
from tokenexit.embeddings import NGramTable
from tokenexit.embeddings.keys import ngrams_of, shorter
from tokenexit.errors import UserError
from tokenexit.halting import Sentence, pack
from tokenexit.halting.embedding import LowerLayers
from tokenexit.models.progress import tracked

TEXTS = 1 << 12
"""Whose n-grams are counted at once."""

AGAIN = "Make it anew: `tokenexit ngrams RUN --data D`, or model.make_table(texts)."


@torch.inference_mode()
def make_table(
    model: Any, sentences: Sequence[Sentence], most: int, path: Path | None = None
) -> NGramTable:
    """States of the commonest n-grams.

    Args:
        model: An encoder with exits.
        sentences: A corpus as its network reads it.
        most: N-grams at most; of equally common ones those of smaller ids.
        path: Of a new file; in memory when None.

    Raises:
        UserError: Nothing here looks states up, or there is no n-gram.
    """
    embeddings = model.inference_heads.embeddings
    check_tabled(embeddings)
    if most < 1:
        raise UserError(f"A table has at least one n-gram, not {most}.")
    keys = _commonest(sentences, most, short=embeddings.unknown == "fallback")
    if not len(keys):
        raise UserError("There is no token in the texts, so there is no n-gram for a table.")
    # Not `for_inference`, which refuses an old table.
    backbone, batch = model._inference.get(model.network), pack(sentences[:0], model.device)
    table = NGramTable.empty(path, keys, backbone.hidden_size, mark_of(model))
    lower = LowerLayers(backbone, batch, embeddings.layers, backbone.eager)
    for start in tracked(range(0, len(keys), 1024), "n-grams"):
        part = keys[start : start + 1024]
        states = embeddings.computed(part.to(model.device), lower)
        table.states[start : start + len(part)] = states.to(torch.float16).cpu()
    return table


def check_table(model: Any, table: NGramTable) -> None:
    """Refuse a table that other weights have made.

    Raises:
        UserError: Says which weight is another.
    """
    embeddings = model.heads.embeddings
    check_tabled(embeddings)
    width = model.backbone.hidden_size
    if table.states.shape[1:] != (3, width):
        raise UserError(f"The table has states of another width than {width}. {AGAIN}")
    other = changed(table.made_from, _weights(model))
    if other is not None:
        raise UserError(
            f"The table of n-grams was made with other weights ({other} has changed), so the model "
            f"would not be itself. {AGAIN} Or take it away: model.use_table(None)."
        )


class Checked:
    """A table that was found to be the model's own; asked before each use whether it still is.

    Args:
        model: An encoder with exits.
        table: Its table.

    Raises:
        UserError: It is not.
    """

    def __init__(self, model: Any, table: NGramTable) -> None:
        check_table(model, table)
        weights = [weight for weight in _weights(model).values() if not weight.is_meta]
        single = all(weight.dtype == torch.float32 for weight in weights)
        self._table, self._weights = table, weights
        self._watch = Watch(weights) if single else None
        self._counts = _counts(weights)

    def fits(self, model: Any, table: NGramTable, rows: int) -> bool:
        """Whether table and weights are those of then, as far as it is looked at."""
        weights = [weight for weight in _weights(model).values() if not weight.is_meta]
        if table is not self._table or list(map(id, weights)) != list(map(id, self._weights)):
            return False
        return self._counts == _counts(weights) and (self._watch is None or self._watch.same(rows))

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy of a model has weights of its own, to be looked at anew."""
        return type(None), ()


def _counts(weights: Sequence[Tensor]) -> list[int]:
    return [weight._version for weight in weights if not weight.is_inference()]


def mark_of(model: Any) -> dict[str, list[float]]:
    """What a table remembers of the model that made it."""
    return fingerprint(_weights(model))


def check_tabled(embeddings: Any) -> None:
    """Refuse embeddings that look nothing up.

    Raises:
        UserError: Says which do.
    """
    if not embeddings.tabled or not embeddings.layers:
        raise UserError(
            "The model computes all layers of its texts, so there is nothing to look up: embeddings"
            ' of n-grams have a table, model.use_embeddings({"name": "ngram"}).'
        )


def _weights(model: Any) -> dict[str, Tensor]:
    """What states of n-grams are made of: everything below the layers above, and the gate."""
    backbone, embeddings = model.backbone, model.heads.embeddings
    above = range(embeddings.layers, backbone.num_layers) if backbone.stack else ()
    upper = tuple(f"{backbone.stack}.{index}." for index in above)
    found = backbone.base.named_parameters()
    weights = {name: part for name, part in found if not name.startswith((*upper, "pooler."))}
    return weights | {f"gate.{name}": part for name, part in embeddings.gate.named_parameters()}


def _commonest(sentences: Sequence[Sentence], most: int, short: bool) -> Tensor:
    """The commonest n-grams, in increasing order, ``[N]``."""
    keys, counts = torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long)
    for start in range(0, len(sentences), TEXTS):
        batch = pack(sentences[start : start + TEXTS])
        long = ngrams_of(batch.input_ids, batch.positions)
        new = torch.cat([long, shorter(long, 2), shorter(long, 1)]) if short else long
        keys, number = torch.cat([keys, new]).unique(return_inverse=True)
        weights = torch.cat([counts, torch.ones_like(new)])
        counts = torch.zeros(len(keys), dtype=torch.long).index_add(0, number, weights)
    order = counts.argsort(descending=True, stable=True)[:most]
    return keys[order].sort().values
