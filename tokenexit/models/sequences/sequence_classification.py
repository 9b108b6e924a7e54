"""A text classifier, or a regression on texts, whose texts leave the network early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
from huggingface_hub import ModelHubMixin
from torch import Tensor
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoModelForSequenceClassification,
    PreTrainedModel,
)

from tokenexit.backbones import adapt
from tokenexit.errors import UserError
from tokenexit.halting import Halted, Trace
from tokenexit.heads import ExitHeads
from tokenexit.models import folders
from tokenexit.models.chosen import chosen_policy
from tokenexit.models.encoders.classifier import (
    check_names,
    check_problem,
    with_classifier,
    with_output,
    with_scale,
)
from tokenexit.models.encoders.encoder_model import EncoderModel, new_parts
from tokenexit.models.encoders.forward import (
    ExitOutput,
    check_unserved,
    forward_texts,
    serve_in_pipelines,
)
from tokenexit.models.encoders.labeller import Labeller
from tokenexit.models.encoders.run import run
from tokenexit.models.encoders.vocabulary import check_vocabulary, embeddings
from tokenexit.models.inputs import Texts, read_parts
from tokenexit.models.predict_iter import check_batch_size
from tokenexit.models.scale import Scale
from tokenexit.models.sequences.text_encoding import TextEncoder
from tokenexit.models.settings import ExitSettings
from tokenexit.policies import Policy
from tokenexit.policies.base import check_level
from tokenexit.tasks.naming import text_task


class ExitModelForSequenceClassification(
    EncoderModel,
    ModelHubMixin,
    library_name="tokenexit",
    tags=["early-exit", "text-classification"],
):
    """An ordinary transformers text classifier, with exits.

    Texts leave a batch as soon as the policy is sure of them; the policies are those of taggers
    and generators. With a ``scale`` it is a regression, which tells numbers and needs policies
    that read no probabilities. Every exit classifies the first token's state. Built by
    ``from_transformers`` or ``from_pretrained``.

    Args:
        network: A transformers model with a sequence-classification head.
        tokenizer: Its tokenizer.
        heads: Exit heads below the top.
        settings: Everything else that is saved with the model.
    """

    read = staticmethod(read_parts)

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
        exit_layers: Sequence[int] | None = None,
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
        network = with_classifier(
            backbone,
            labels,
            MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
            AutoModelForSequenceClassification,
            "sequence-classification",
        )
        check_vocabulary(tokenizer, embeddings(network))
        task = task or ("classification" if scale is None else "regression")
        network = with_output(network, partial(text_task(task).output, labels=labels))
        kind = text_task(task).heads(heads, labels)
        stack, exits, kind = new_parts(network, labels, exit_layers, kind)
        if scale is None:
            settings = ExitSettings(tuple(labels), exits, kind, task)
            return cls(network, tokenizer, stack, settings)
        if any(stack.at(layer).fitted_on for layer in stack.layers):
            raise UserError(
                f"The head {kind.get('name')!r} is fitted to classes after training, and a "
                "regression has none; choose another, such as linear or pooled."
            )
        network = with_scale(network, scale)
        settings = ExitSettings(tuple(labels), exits, kind, task, scale=asdict(scale))
        return cls(network, tokenizer, stack, settings)

    @classmethod
    @torch.inference_mode(False)
    def from_pretrained(  # type: ignore[override]
        cls,
        folder: str | Path,
        *,
        precision: str | None = None,
        runtime: str | None = None,
        free: bool = False,
        **hub: Any,
    ) -> Self:
        """Load a model folder, or one from the Hub.

        Args:
            folder: A folder written by ``save_pretrained``, or a Hub id.
            precision: See ``use``.
            runtime: See ``use``.
            free: See ``use``.
            hub: ``revision``, ``token``, ``cache_dir``, ``dtype`` and the like.

        Raises:
            UserError: No such folder, no network, missing or damaged files, a format newer
                than this version reads, or a model of another kind.
        """
        loaded = folders.load_kind(
            folder,
            "ExitModelForSequenceClassification",
            AutoModelForSequenceClassification,
            precision,
            **hub,
        )
        settings = loaded.settings
        with loaded.building():
            shape = adapt(loaded.network)
            exits = loaded.exits(shape.num_layers)
            heads = ExitHeads(settings.heads, exits[:-1], shape.hidden_size, len(settings.labels))
            loaded.fill(heads, loaded.weights)
            model = cls(loaded.network, loaded.tokenizer, heads, settings).eval()
        loaded.rehearse(model.predict)
        return model.use(precision, runtime, free=free)

    def tag(
        self,
        texts: Sequence[Sequence[str]],
        targets: Sequence[Sequence[float]] | None = None,
        *,
        policy: Policy | Mapping[str, Any] | str | None = None,
        batch_size: int = 32,
        halted: Halted | None = None,
        decode: str | None = None,
    ) -> Trace:
        """Classify texts and tell what happened to each: one entry a text.

        Args:
            texts: One or two strings each.
            targets: Gold class of each text, or its value, in a list of one.
            policy: Who halts; the model's own policy when None.
            batch_size: Texts a batch.
            halted: Of taggers: nothing is left to read a text that has gone.
            decode: Of taggers.

        Raises:
            UserError: A bad policy or setting.
        """
        check_text_options(batch_size, halted, decode)
        chosen = chosen_policy(self, policy)
        check_level(chosen, "sentence" if self.scale is None else "value")
        return run(self, self.encoder.encode(texts, targets), chosen, batch_size=batch_size)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        policy: Policy | Mapping[str, Any] | str | None = None,
        **others: Any,
    ) -> ExitOutput:
        """Classify token ids as transformers' classifiers do, with the policy inside.

        Args:
            input_ids: ``[B, S]``.
            attention_mask: ``[B, S]``, 1 for real tokens.
            token_type_ids: ``[B, S]``, which of two texts.
            labels: ``[B]``, classes or values.
            policy: Who halts; the model's own policy when None.
            others: Nothing else is served.

        Raises:
            UserError: Bad inputs, or an argument that exits do not serve.
        """
        check_unserved(others)
        chosen = chosen_policy(self, policy)
        check_level(chosen, "sentence" if self.scale is None else "value")
        return forward_texts(self, input_ids, attention_mask, token_type_ids, labels, chosen)

    def predict(
        self,
        texts: Texts,
        *,
        policy: Policy | Mapping[str, Any] | str | None = None,
        batch_size: int = 32,
    ) -> list[Any]:
        """Classify texts, tell their numbers, or whatever the model's task is.

        Args:
            texts: Strings, or pairs of strings, in anything that can be gone through.
            policy: Who halts; the model's own policy when None.
            batch_size: Texts a batch.

        Returns:
            One result a text, in order.

        Raises:
            UserError: Something that is no text, or texts and pairs mixed.
        """
        return answered(self, texts, policy=policy, batch_size=batch_size)


serve_in_pipelines(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, ExitModelForSequenceClassification)


def answered(model: Labeller, texts: Texts, **options: Any) -> list[Any]:
    """What a model says of texts, for people.

    Args:
        model: A text classifier.
        texts: Strings, or pairs of strings, in anything that can be gone through.
        options: Of its ``tag``.

    Raises:
        UserError: One string in the place of a list; as ``tag``.
    """
    parts = list(read_parts(texts))
    trace = model.tag(parts, **options)
    quoted = [part[0] if len(part) == 1 else part for part in parts]
    return text_task(model.settings.task).answers(trace, model.labels, quoted)


def check_text_options(batch_size: int, halted: str | None, decode: str | None) -> None:
    """Refuse a bad batch size, and what only taggers can be asked for.

    Raises:
        UserError: Says what was given.
    """
    for name, value in (("halted", halted), ("decode", decode)):
        if value not in (None, "copy", "argmax"):
            raise UserError(f"{name}={value!r} has no meaning for text classifiers.")
    check_batch_size(batch_size)
