"""Which rows the answer depends on, seen from the middle of the network (TR-BERT)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from tokenexit.reducers import Scored
from tokenexit.reducers.base import check_scorers
from tokenexit.training.column import Column
from tokenexit.training.preparations.base import PREPARATIONS, Material, Preparation
from tokenexit.training.preparations.row_gradients import cross_entropy, encoder_of, passed


@PREPARATIONS.register("saliency")
@dataclass(frozen=True)
class Saliency(Preparation):
    """What it would cost to leave each row as it enters the layers that have a scorer.

    ``|g . (h - h_j)|``, where ``h`` are the states after three quarters of the layers, ``g`` the
    gradient of the cross-entropy there, and ``h_j`` the states that enter the layer with a scorer:
    in TR-BERT (Ye et al. 2021), of 12 layers, ``h`` are those of the ninth.
    """

    gives: ClassVar[tuple[str, ...]] = ("saliency",)

    def __call__(self, model: Any, material: Material) -> Mapping[str, Column]:
        """The column ``saliency``, of rows, a number for each layer with a scorer."""
        model = encoder_of(model, "saliency")
        scorers = model.heads.scorers
        check_scorers(Scored(), scorers)
        assert scorers is not None
        module, depth = material.module(model), model.backbone.num_layers
        late = min(max(3 * depth // 4, 1), max(depth - 1, 1))

        def found() -> Iterator[tuple[Tensor, Tensor]]:
            for laid in material.batches(module):
                seen = passed(model, laid.batch)
                gradient = seen.gradient(cross_entropy(seen.logits, laid.batch), late)
                moved = [seen.rows(late) - seen.rows(layer - 1) for layer in scorers.layers]
                values = [(gradient * one).sum(dim=-1).abs() for one in moved]
                yield laid.numbers, torch.stack(values, dim=1)

        return {"saliency": Column.gathered("row", material.texts, found())}
