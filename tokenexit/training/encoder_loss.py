"""The loss of taggers and text classifiers."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from tokenexit.backbones import Backbone, sliced
from tokenexit.errors import UserError
from tokenexit.gates import ExitGate
from tokenexit.halting import Visitor, encode, pack
from tokenexit.models.encoders.encoder_model import EncoderModel
from tokenexit.objectives import Objective
from tokenexit.objectives.base import check_heads, check_regression
from tokenexit.objectives.sub_network import SubNetwork
from tokenexit.reducers import Reducer
from tokenexit.training.batches import MicroBatch
from tokenexit.training.loss_module import WHOLE, Laid, LossModule, Route
from tokenexit.widths import Widths


class EncoderLossModule(LossModule):
    """Sentences are packed, and words may leave. Arguments are those of ``LossModule``."""

    model: EncoderModel

    def __init__(
        self, model: EncoderModel, objective: Objective, gradient_equilibrium: bool = False
    ) -> None:
        check_heads(objective, model.settings.heads)
        if model.heads.embeddings.table is not None:
            raise UserError(
                "The model looks up states that training would change: take its table away, "
                "model.use_table(None), and make another afterwards."
            )
        if model.scale is not None:
            check_regression(objective)
            if model.heads.gate is not None and model.heads.gate.taught != "gold":
                raise UserError(
                    f"The gate {model.settings.heads['gate']!r} learns from classes, and a "
                    "regression has none; use heads.gate=true."
                )
        super().__init__(model, objective, gradient_equilibrium)

    @property
    def classes(self) -> Sequence[str]:
        """See ``LossModule``."""
        return self.model.labels

    @property
    def gate(self) -> ExitGate | None:
        """The model's, if anything teaches it."""
        gate = self.model.heads.gate
        return None if gate is None or gate.taught is None else gate

    def lay(self, part: MicroBatch) -> Laid:
        """See ``LossModule``."""
        batch = pack(part.sentences, self.model.device)
        text = torch.from_numpy(batch.row_sequence[batch.first_row])
        place = torch.arange(len(text)) - torch.searchsorted(text, text)
        texts = torch.tensor([part.places[i] for i in batch.order])
        numbers = torch.tensor(part.texts or part.places)[torch.from_numpy(batch.order)]
        rows = torch.from_numpy(batch.row_sequence)
        return Laid(batch, batch.num_words, texts, text, place, numbers, rows)

    @property
    def lower(self) -> int:
        """See ``LossModule``."""
        return self.model.heads.embeddings.layers

    @property
    def reducer(self) -> Reducer | None:
        """The model's."""
        return self.model.reducer

    def run(self, laid: Laid, visitor: Visitor, route: Route = WHOLE) -> None:
        """See ``LossModule``."""
        model = self.model
        part = SubNetwork(model.reducer) if route.part is None else route.part
        thinned = part.reducer is not None or part.weights is not None
        encode(
            self._backbone(part.widths),
            model.heads,
            laid.batch,
            visitor,
            classes=model.labels,
            fork=route.fork,
            skip=route.skip,
            states=route.states,
            compact=route.compact or thinned or part.choose is not None,
            reducer=part.reducer,
            without=part.without,
            weights=part.weights,
            choose=part.choose,
        )

    def _backbone(self, widths: Widths | None) -> Backbone:
        """The model's network as it is used, or of other widths."""
        if widths is None:
            return self.model.used_backbone
        whole = self.model.backbone
        return whole if widths == Widths() else sliced(whole, widths, learn=True)
