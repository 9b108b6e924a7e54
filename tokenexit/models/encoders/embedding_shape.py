"""What embeddings have to know of a network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tokenexit.backbones import Backbone
from tokenexit.embeddings import Shape
from tokenexit.embeddings.keys import BITS
from tokenexit.errors import UserError


def shape_of(backbone: Backbone) -> Shape:
    """Of a network.

    Raises:
        UserError: Its vocabulary is too large.
    """
    if backbone.config.vocab_size >= (1 << BITS) - 1:
        raise UserError(f"Embeddings know vocabularies of at most {(1 << BITS) - 2} entries.")
    parts: Any = getattr(backbone.base, "embeddings", None)
    return Shape(
        backbone.hidden_size,
        backbone.num_layers,
        # The RoBERTa line has rows for padding before the first place.
        _weight(parts, "position_embeddings", backbone, backbone.max_length),
        _weight(parts, "token_type_embeddings", backbone),
    )


def _weight(parts: Any, name: str, backbone: Backbone, last: int = 0) -> Tensor | None:
    """The last rows of a table of embeddings, without values if it has another width."""
    found = getattr(parts, name, None)
    if not isinstance(found, nn.Embedding):
        return None
    weight = found.weight[-last:]
    if weight.shape[1] == backbone.hidden_size:
        return weight
    return torch.empty(len(weight), backbone.hidden_size, device="meta")
