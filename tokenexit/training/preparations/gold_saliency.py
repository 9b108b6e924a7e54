"""Which tokens the gold class depends on (AdapLeR)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from tokenexit.training.column import Column
from tokenexit.training.preparations.base import PREPARATIONS, Material, Preparation
from tokenexit.training.preparations.row_gradients import encoder_of, passed


@PREPARATIONS.register("gold_saliency")
@dataclass(frozen=True)
class GoldSaliency(Preparation):
    """Length of the product of each token's embedding and the gold logit's gradient there.

    As AdapLeR (Modarressi et al. 2022) computes it of a model that was fine-tuned. The embedding
    is what enters the first layer; of taggers, the logits of all words of a text are summed.
    """

    gives: ClassVar[tuple[str, ...]] = ("gold_saliency",)

    def __call__(self, model: Any, material: Material) -> Mapping[str, Column]:
        """The column ``gold_saliency``, of rows."""
        model = encoder_of(model, "gold_saliency")
        module = material.module(model)

        def found() -> Iterator[tuple[Tensor, Tensor]]:
            for laid in material.batches(module):
                seen, target = passed(model, laid.batch), laid.batch.word_target
                assert target is not None
                gold = seen.logits.gather(1, target.clamp_min(0)[:, None])[:, 0]
                gradient = seen.gradient(gold[target >= 0].sum(), 0)
                yield laid.numbers, (gradient * seen.rows(0)).norm(dim=-1).float()

        return {"gold_saliency": Column.gathered("row", material.texts, found())}
