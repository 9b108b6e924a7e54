"""Embeddings of n-grams for the plain reference: token by token, each trigram a text of its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tokenexit.backbones import Backbone
from tokenexit.halting.packing import Index


def embed_dense(
    backbone: Backbone, embeddings: Any, ids: Tensor, lengths: Index, segments: Tensor | None = None
) -> Tensor:
    """States that enter the first layer above, without table, ``[B, M] -> [B, M, H]``.

    Args:
        backbone: The network.
        embeddings: Of n-grams.
        ids: Vocabulary ids, padded.
        lengths: Tokens of each text.
        segments: Which of two texts each token belongs to.
    """
    hidden = torch.zeros(*ids.shape, backbone.hidden_size, dtype=backbone.model.dtype)
    hidden = hidden.to(ids.device)
    for text, length in enumerate(lengths.tolist()):
        for middle in range(length):
            there = [place for place in range(3) if 0 <= middle - 1 + place < length]
            states = _trigram(backbone, embeddings, ids[text], middle, there)
            for place in there:
                hidden[text, middle - 1 + place] += states[place]
    places = torch.arange(ids.shape[1], device=ids.device)
    if embeddings.places is not None:
        hidden = hidden + embeddings.places(places)
    if embeddings.segments is not None:
        hidden = hidden + embeddings.segments(
            torch.zeros_like(ids) if segments is None else segments
        )
    return embeddings.norm(hidden)


def _trigram(
    backbone: Backbone, embeddings: Any, ids: Tensor, middle: int, there: list[int]
) -> Tensor:
    """Gated states of the trigram around a token, ``[3, H]``."""
    window = torch.stack(
        [ids[middle - 1 + place if place in there else middle] for place in range(3)]
    )
    mask = torch.tensor([[int(place in there) for place in range(3)]], device=ids.device)
    hidden = backbone.embed(window[None], torch.arange(3, device=ids.device)[None])
    context = backbone.context(hidden, mask)
    for index in range(embeddings.layers):
        hidden = backbone.layer(index, hidden, context)
    return hidden[0] * embeddings.gate(hidden[0]).sigmoid()
