"""Rows of padded texts, one text at a time, for the plain reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from tokenexit.backbones import Backbone
from tokenexit.halting.packing import Index
from tokenexit.policies import State, index_state
from tokenexit.reducers import Rows
from tokenexit.scorers import RowScorers


class DenseRows:
    """What may be known of the rows of padded texts by somebody who is asked about them.

    Args:
        backbone: The network.
        by: Who is asked: a reducer, or who weighs rows.
        ids: Vocabulary ids, ``[B, M]``.
        lengths: Tokens of each text, ``[B]``.
        scorers: Those of the model, if it has any.
    """

    def __init__(
        self, backbone: Backbone, by: Any, ids: Tensor, lengths: Index, scorers: RowScorers | None
    ) -> None:
        self._backbone, self._by, self._ids = backbone, by, ids
        self._lengths = lengths.tolist()
        self._scorers = scorers if by.reads == "scores" else None
        self._states: list[State] = [by.init(n, ids.device) for n in self._lengths]
        self._seen = [torch.arange(n, device=ids.device) for n in self._lengths]

    def _unscored(self, layer: int) -> bool:
        """Whether scores are read, and a layer has none."""
        return self._scorers is not None and layer not in self._scorers.layers

    def _shown(self, layer: int, text: int, hidden: Tensor, asking: Tensor, **seen: Any) -> Rows:
        """Rows of a text before a layer, with what its attention says of them in ``seen``."""
        score = bar = None
        if self._scorers is not None:
            score, bar = self._scorers(layer, hidden[asking])
        return Rows(
            layer=layer,
            num_layers=self._backbone.num_layers,
            text=torch.zeros_like(asking),
            lengths=torch.tensor([self._lengths[text]], device=asking.device),
            position=asking,
            item_id=self._ids[text, asking],
            pinned=asking == 0,
            hidden=hidden[asking],
            score=score,
            bar=bar,
            **seen,
        )

    def _state(self, text: int, asking: Tensor) -> State:
        """What was remembered of rows of a text."""
        return index_state(self._states[text], torch.searchsorted(self._seen[text], asking))

    def _scores(self, index: int, states: Tensor, asking: Tensor, keys: Tensor) -> Tensor:
        """Of the attention of one text before its softmax, ``[heads, A, K]``."""
        backbone = self._backbone
        queries = backbone.queries(index, states[asking], asking)
        read, _ = backbone.keys_values(index, states[keys], keys)
        heads = backbone.heads(index)
        queries, read = (
            rows.view(len(rows), heads, -1).transpose(0, 1) for rows in (queries, read)
        )
        scores = queries @ read.transpose(1, 2) * backbone.scaling(index)
        bias = backbone.bias(index, queries[None], read[None], asking[None], keys[None])
        return scores if bias is None else scores + bias[0]


def text_by_text(
    hidden: Tensor,
    done: Tensor,
    read: Tensor,
    lengths: Sequence[int],
    compute: Callable[[int, Tensor, Tensor, Tensor], Tensor],
) -> Tensor:
    """States after a layer, ``[B, M, H]``; of rows that are done they are nothing.

    Args:
        hidden: States that enter it, ``[B, M, H]``.
        done: Rows that ask no more, ``[B, M]`` bool.
        read: Rows that the layer may read, ``[B, M]`` bool.
        lengths: Tokens of each text.
        compute: New states of a text, by its number, its states, and which of its rows ask and
            are read.
    """
    texts = []
    for text, length in enumerate(lengths):
        asking = (~done[text, :length]).nonzero().squeeze(-1)
        new = hidden[text]
        if len(asking):
            keys = read[text, :length].nonzero().squeeze(-1)
            new = new.index_copy(0, asking, compute(text, new, asking, keys))
        texts.append(new)
    return torch.stack(texts)
