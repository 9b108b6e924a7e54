"""A text classifier, or a regression on texts, whose texts leave the network early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, Self

import torch
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoModelForSequenceClassification,
    PreTrainedModel,
)

from tokenexit.errors import UserError
from tokenexit.heads import ExitHeads
from tokenexit.models.encoders.classifier import check_names, check_problem, with_output, with_scale
from tokenexit.models.encoders.encoder_model import EncoderModel, new_parts
from tokenexit.models.encoders.forward import forward_texts, serve_in_pipelines
from tokenexit.models.encoders.run_by_depth import check_by_depth
from tokenexit.models.generation.by_depth import check_batching_name
from tokenexit.models.scale import Scale
from tokenexit.models.sequences.text_encoding import TextEncoder
from tokenexit.models.sequences.text_labeller import TextLabeller
from tokenexit.models.settings import ExitSettings
from tokenexit.tasks.naming import text_task

BLOCK = 16
"""Batches read ahead where batches are made anew between exits."""


class ExitModelForSequenceClassification(
    TextLabeller, EncoderModel, tags=["early-exit", "text-classification"]
):
    """An ordinary transformers text classifier, with exits.

    Texts leave a batch as soon as the policy is sure of them; the policies are those of taggers
    and generators. With a ``scale`` it is a regression, which predicts numbers and needs policies
    that read no probabilities. The top classifies the first token's state; exits below it do so
    too, or with the heads' setting ``pool="mean"`` the mean of all tokens. Built by
    ``from_transformers`` or ``from_pretrained``.

    Args:
        network: A transformers model with a sequence-classification head.
        tokenizer: Its tokenizer.
        heads: Exit heads below the top.
        settings: Everything else that is saved with the model.
    """

    loader = "ExitModelForSequenceClassification"
    auto_class = AutoModelForSequenceClassification
    mapping = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
    form = "sequence-classification"
    answer = staticmethod(forward_texts)

    def __init__(
        self, network: PreTrainedModel, tokenizer: Any, heads: ExitHeads, settings: ExitSettings
    ) -> None:
        super().__init__(network, tokenizer, heads, settings)
        if getattr(network.config, "classifier_pooling", "cls") != "cls":
            raise UserError(
                "This model classifies the mean of all tokens, which early exits do not serve: "
                'set config.classifier_pooling="cls" and train it so.'
            )
        self.scale = Scale.saved(settings.scale)
        check_problem(network.config, regression=self.scale is not None)
        self.encoder = TextEncoder(tokenizer, self.backbone.max_length, self.scale)

    @classmethod
    @torch.inference_mode(False)
    def from_transformers(
        cls,
        backbone: PreTrainedModel,
        tokenizer: Any,
        labels: Sequence[str],
        *,
        exit_layers: Sequence[int] | int | None = None,
        heads: Mapping[str, Any] | None = None,
        scale: Scale | None = None,
        task: str | None = None,
    ) -> Self:
        """Add exits to a transformers model in memory, ready to train.

        Args:
            backbone: A bare encoder, or one with a sequence-classification head whose number
                of classes fits. It stays as it is; its weights are shared.
            tokenizer: Its tokenizer.
            labels: Names of the classes; of a head that has learned some, the same names, in
                whatever order.
            exit_layers: Layers with an exit, from 1; all when None. The top always has one.
            heads: Kind and settings of the heads, ``{"name": "mlp", "gate": True}``.
            scale: Of the training values, for a regression; ``labels`` is then one name. A head
                whose ``config.problem_type`` is ``regression`` goes on telling its own values.
            task: What a text gets; ``regression`` with a scale and ``classification`` without
                when None.

        Raises:
            UserError: Unsupported family, no such exit layer, unknown head, bad labels.
        """
        check_names(labels)
        if scale is not None and len(labels) != 1:
            raise UserError(f"A regression tells one number: give one name, not {labels!r}.")
        if scale is None and len(labels) == 1:
            raise UserError(
                f"There is nothing to choose with one class, {labels[0]!r}: give two or more, or "
                "for a number scale=Scale(mean, std) of the training values."
            )
        made = text_task(task or ("classification" if scale is None else "regression"))
        network = cls._network(backbone, tokenizer, labels)
        network = with_output(network, partial(made.output, labels=labels))
        stack, exits, kind = new_parts(network, labels, exit_layers, made.heads(heads, labels))
        if scale is None:
            settings = ExitSettings(tuple(labels), exits, kind, made.name)
            return cls(network, tokenizer, stack, settings)
        if any(stack.at(layer).fitted_on for layer in stack.layers):
            raise UserError(
                f"The head {kind.get('name')!r} is fitted to classes after training, and a "
                "regression has none; choose another, such as linear or pooled."
            )
        network = with_scale(network, scale)
        settings = ExitSettings(tuple(labels), exits, kind, made.name, scale=asdict(scale))
        return cls(network, tokenizer, stack, settings)

    @property
    def look_ahead(self) -> int:  # type: ignore[override]
        """Batches read before the first is answered: more where they are made anew."""
        return 1 if self.settings.batching is None else BLOCK

    def use_batching(self, batching: str | None) -> Self:
        """Say how texts are put together from now on: answers are the same up to rounding.

        It is saved with the model. Compiled kernels, which compute row by row, keep to ``fixed``.

        Args:
            batching: ``fixed`` (or None): a batch goes through together, smaller and smaller.
                ``by_depth``: texts that go on wait at an exit until a batch of them is there.

        Returns:
            This model.

        Raises:
            UserError: There is no such way, the model has a reducer, or is used with the runtime
                ``static``.
        """
        chosen = check_batching_name(batching)
        if chosen == "by_depth":
            check_by_depth(self)
        self.configure(batching=None if chosen == "fixed" else chosen)
        return self


serve_in_pipelines(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, ExitModelForSequenceClassification)
