"""What rows enter the layers with: the network's own embeddings, or others that stand for some."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tokenexit.backbones import Backbone
from tokenexit.embeddings import Embeddings
from tokenexit.halting.attention import read_projected
from tokenexit.halting.packing import PackedBatch
from tokenexit.halting.trace import LayerWork


@dataclass(frozen=True, eq=False)
class Entered:
    """A batch before the first layer that reads whole texts.

    Attributes:
        hidden: Its rows, ``[T, H]``.
        work: What each layer below did.
    """

    hidden: Tensor
    work: tuple[LayerWork, ...]

    @property
    def layers(self) -> int:
        """Layers that lie below."""
        return len(self.work)


def enter(backbone: Backbone, embeddings: Embeddings, batch: PackedBatch, eager: bool) -> Entered:
    """Embed a batch.

    Args:
        backbone: The network.
        embeddings: Its own or others.
        batch: Packed sentences.
        eager: Products and softmax one by one, as transformers' eager attention.
    """
    lower = LowerLayers(backbone, batch, embeddings.layers, eager)
    hidden = embeddings(batch, lower)
    return Entered(hidden, tuple(lower.work))


class LowerLayers:
    """The embeddings and lower layers of a network, for what stands for them.

    Args:
        backbone: The network.
        batch: Packed sentences.
        layers: How many layers.
        eager: See ``enter``.
    """

    def __init__(self, backbone: Backbone, batch: PackedBatch, layers: int, eager: bool) -> None:
        self._backbone, self._batch, self._eager = backbone, batch, eager
        self.work = [LayerWork() for _ in range(layers)]

    def embed(self) -> Tensor:
        """See ``embeddings.Below``."""
        batch = self._batch
        segments = () if batch.segments is None else (batch.segments[None],)
        return self._backbone.embed(batch.input_ids[None], batch.positions[None], *segments)[0]

    def alone(self, ids: Tensor, real: Tensor) -> Tensor:
        """See ``embeddings.Below``: all windows attend at once, each to itself."""
        backbone, (count, width) = self._backbone, ids.shape
        places = torch.arange(width, device=ids.device).expand(count, width)
        rows, flat = backbone.embed(ids, places).flatten(0, 1), places.flatten()
        mask = real[:, None, None, :]
        for index in range(len(self.work)):
            parts = backbone.queries_keys_values(index, rows, flat)
            asked, key, value = (part.view(count, width, -1) for part in parts)
            at = (places, places)
            read = read_projected(backbone, index, asked, key, value, at, mask, self._eager)
            rows = backbone.combine(index, rows, read.reshape(len(rows), -1))
            self.work[index] += LayerWork(
                active=len(rows),
                projected=len(rows),
                pairs=len(rows) * width,
                calls=1,
                embedded=0 if index else len(rows),
            )
        return rows.view(count, width, -1)
