"""A tagger whose words leave the network early."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from huggingface_hub import ModelHubMixin
from torch import Tensor, nn
from transformers import (
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
    AutoModelForTokenClassification,
    PreTrainedModel,
)

from tokenexit.backbones import Backbone, Prepacked, adapt, prepack
from tokenexit.data.bio import is_bio
from tokenexit.errors import UserError, unknown_name
from tokenexit.halting import Halted, Trace
from tokenexit.heads import ExitHeads, check_exit_layers
from tokenexit.models import persistence
from tokenexit.models.constrained import LegalDecoder
from tokenexit.models.crf import TagCRF
from tokenexit.models.encoding import WordEncoder, for_words
from tokenexit.models.results import TaggedText
from tokenexit.models.run import run
from tokenexit.models.settings import DECODE, ExitSettings
from tokenexit.models.words import split_words
from tokenexit.policies import Policy, from_config

_CRF = "crf."


class ExitModelForTokenClassification(
    nn.Module, ModelHubMixin, library_name="tokenexit", tags=["early-exit", "token-classification"]
):
    """An ordinary transformers tagger, with exits.

    Built by ``from_transformers`` or ``from_pretrained``.

    Args:
        network: A transformers model with a token-classification head.
        tokenizer: Its (fast) tokenizer.
        heads: Exit heads below the top.
        settings: Everything else that is saved with the model.
    """

    def __init__(
        self, network: PreTrainedModel, tokenizer: Any, heads: ExitHeads, settings: ExitSettings
    ) -> None:
        super().__init__()
        self.network = network
        self.heads = heads
        self.tokenizer = for_words(tokenizer)
        self.settings = settings
        self.backbone = adapt(network)
        self.encoder = WordEncoder(self.tokenizer, self.backbone.max_length)
        self.crf: TagCRF | None = None
        self._prepacked: Prepacked | None = None

    # --- building, loading, saving ---------------------------------------------------------

    @classmethod
    def from_transformers(
        cls,
        backbone: PreTrainedModel,
        tokenizer: Any,
        labels: Sequence[str],
        *,
        exit_layers: Sequence[int] | None = None,
        heads: Mapping[str, Any] | None = None,
        task: str | None = None,
    ) -> Self:
        """Add exits to a transformers model in memory, ready to train.

        Args:
            backbone: A bare encoder, or one with a token-classification head whose number
                of classes fits.
            tokenizer: Its tokenizer.
            labels: Names of the classes.
            exit_layers: Layers with an exit, from 1; all when None. The top always has one.
            heads: Kind and settings of the heads, ``{"name": "mlp", "gate": True}``.
            task: ``ner`` or ``pos``; told by the labels when None.

        Raises:
            UserError: Unsupported family, no such exit layer, unknown head, bad labels.
        """
        named = not isinstance(labels, str) and all(isinstance(label, str) for label in labels)
        if not named or len(set(labels)) != len(labels) or not labels:
            raise UserError(f"Labels must be one or more different names, not {labels!r}.")
        if heads is not None and not isinstance(heads, Mapping):
            raise UserError(f'heads must be a mapping such as {{"name": "linear"}}, not {heads!r}.')
        heads = dict(heads or {"name": "linear"})
        network = _with_classifier(backbone, labels)
        depth = adapt(network).num_layers
        exits = check_exit_layers(exit_layers, depth)
        stack = ExitHeads(heads, exits[:-1], adapt(network).hidden_size, len(labels))
        stack.to(device=network.device, dtype=network.dtype)
        task = task or ("ner" if is_bio(labels) else "pos")
        return cls(network, tokenizer, stack, ExitSettings(tuple(labels), exits, heads, task))

    @classmethod
    def from_pretrained(cls, folder: str | Path, **hub: Any) -> Self:  # type: ignore[override]
        """Load a model folder, or one from the Hub.

        Args:
            folder: A folder written by ``save_pretrained``, or a Hub id.
            hub: ``revision``, ``token``, ``cache_dir``, ``dtype`` and the like.

        Raises:
            UserError: No such folder, no network, missing or damaged files, a format newer
                than this version reads.
        """
        where = {name: hub.pop(name) for name in ("revision", "token", "cache_dir") if name in hub}
        path = persistence.resolve(folder, **where)
        if not persistence.read_settings(path).labels:
            raise UserError(
                f"{str(folder)!r} holds a model that generates text: load it with "
                "ExitModelForSeq2SeqLM.from_pretrained."
            )
        loaded = persistence.load(path, AutoModelForTokenClassification, **hub)
        shape, settings = adapt(loaded.network), loaded.settings
        exits = check_exit_layers(settings.exit_layers, shape.num_layers)
        heads = ExitHeads(settings.heads, exits[:-1], shape.hidden_size, len(settings.labels))
        crf = {k.removeprefix(_CRF): v for k, v in loaded.weights.items() if k.startswith(_CRF)}
        loaded.fill(heads, {k: v for k, v in loaded.weights.items() if not k.startswith(_CRF)})
        model = cls(loaded.network, loaded.tokenizer, heads, settings)
        if crf:
            model.crf = TagCRF(len(model.labels))
            model.crf.load_state_dict(crf)
        return model.eval()

    def exit_weights(self) -> dict[str, Tensor]:
        """Weights of the heads, the gate and the CRF."""
        crf = {} if self.crf is None else self.crf.state_dict()
        return {**self.heads.state_dict(), **{_CRF + key: value for key, value in crf.items()}}

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> None:  # type: ignore[override]
        """Write the model folder: a plain transformers checkpoint, and the exits beside it."""
        push = kwargs.pop("push_to_hub", False)
        repo = kwargs.pop("repo_id", None)
        persistence.save(self, Path(save_directory))
        if push:
            self.push_to_hub(repo or Path(save_directory).name, **kwargs)

    # --- facts -----------------------------------------------------------------------------

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.settings.labels

    @property
    def policy(self) -> Policy:
        """The policy used when none is given."""
        return from_config(self.settings.policy)

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return next(self.parameters()).device

    @property
    def inference_backbone(self) -> Backbone:
        """The backbone without gradients: equal up to rounding, faster on a CPU.

        Made when first asked for and whenever weights have changed; the model must be in
        evaluation mode.
        """
        if self._prepacked is None or not self._prepacked.current:
            self._prepacked = prepack(self.backbone)
        return self.backbone if self._prepacked is None else self._prepacked.backbone

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters that start from nothing: those of the heads, the top's included."""
        yield from self.backbone.final_head().parameters()
        yield from self.heads.parameters()

    def configure(self, **settings: Any) -> None:
        """Change what is saved with the model: ``policy``, ``halted``, ``decode``, ..."""
        if isinstance(settings.get("policy"), Policy):
            settings["policy"] = settings["policy"].to_config()
        self.settings = replace(self.settings, **settings)

    # --- tagging ---------------------------------------------------------------------------

    def tag(
        self,
        texts: Sequence[Sequence[str]],
        targets: Sequence[Sequence[int]] | None = None,
        *,
        policy: Policy | Mapping[str, Any] | str | None = None,
        batch_size: int = 32,
        halted: Halted | None = None,
        decode: str | None = None,
    ) -> Trace:
        """Tag words and tell what happened to each.

        Args:
            texts: Words of each text; a text may be empty.
            targets: Gold class of each word, for policies that need it; else carried along.
            policy: Who halts; the model's own policy when None.
            batch_size: Texts (or pieces of long texts) a batch.
            halted: ``copy``, ``drop`` or ``restore``; the model's own when None.
            decode: ``argmax``, ``legal`` (the best sequence in the BIO scheme) or ``crf`` (the
                best under transitions learned by ``fit_crf``).

        Raises:
            UserError: A bad policy or setting.
        """
        chosen = self.policy if policy is None else from_config(policy)
        decode = decode or self.settings.decode
        if decode not in DECODE:
            raise unknown_name("way of decoding", decode, DECODE)
        if not isinstance(batch_size, int) or batch_size < 1:
            raise UserError(f"batch_size must be a whole number from 1, not {batch_size!r}.")
        trace = run(
            self,
            self.encoder.encode(texts, targets),
            chosen,
            batch_size=batch_size,
            halted=halted or self.settings.halted,
        )
        return trace if decode == "argmax" else self._decoded(trace, decode)

    def fit_crf(self, texts: Sequence[Sequence[str]], targets: Sequence[Sequence[int]]) -> None:
        """Learn a CRF on what the exits say under the model's own policy; all else is frozen.

        Args:
            texts: Words of each text.
            targets: Gold classes of each word.
        """
        trace = self.tag(texts, targets, decode="argmax")
        cuts = np.flatnonzero(np.diff(trace.text)) + 1
        crf = TagCRF(len(self.labels))
        crf.fit(np.split(trace.log_probs, cuts), np.split(trace.gold, cuts))
        self.crf = crf.eval()

    def predict(
        self,
        texts: Sequence[str] | Sequence[Sequence[str]],
        *,
        policy: Policy | Mapping[str, Any] | str | None = None,
        batch_size: int = 32,
        halted: Halted | None = None,
        decode: str | None = None,
    ) -> list[TaggedText]:
        """Label texts.

        Args:
            texts: Strings, or lists of words.
            policy: Who halts; the model's own policy when None.
            batch_size: Texts a batch.
            halted: See ``tag``.
            decode: See ``tag``.

        Returns:
            One result a text, in order; empty texts give empty results.
        """
        if isinstance(texts, str):
            raise UserError("predict takes a list of texts; wrap a single one: predict([text]).")
        words: list[list[str]] = []
        offsets: list[list[tuple[int, int]] | None] = []
        for number, text in enumerate(texts):
            if isinstance(text, str):
                found, places = split_words(text)
                words.append(found)
                offsets.append(places)
            elif isinstance(text, Iterable) and all(isinstance(word, str) for word in text):
                words.append(list(text))
                offsets.append(None)
            else:
                raise UserError(f"Text {number} is neither a string nor a list of strings.")
        trace = self.tag(words, policy=policy, batch_size=batch_size, halted=halted, decode=decode)
        bounds = np.searchsorted(trace.text, np.arange(len(words) + 1))
        return [
            TaggedText(
                words=words[number],
                labels=[self.labels[c] for c in trace.prediction[start:end]],
                exit_layers=trace.exit_layer[start:end].tolist(),
                confidences=[round(float(c), 6) for c in trace.confidence[start:end]],
                text=texts[number] if offsets[number] is not None else None,  # type: ignore[arg-type]
                offsets=offsets[number],
            )
            for number, (start, end) in enumerate(pairwise(bounds))
        ]

    def _decoded(self, trace: Trace, decode: str) -> Trace:
        """The same trace with labels chosen for each text as a whole."""
        if len(trace) == 0:
            return trace
        parts = np.split(trace.log_probs, np.flatnonzero(np.diff(trace.text)) + 1)
        if decode == "crf":
            if self.crf is None:
                raise UserError("The model has no CRF: call fit_crf, or train with decode=crf.")
            prediction = np.concatenate(self.crf.decode(parts))
        elif is_bio(self.labels):
            decoder = LegalDecoder(self.labels)
            prediction = np.concatenate([decoder(part) for part in parts])
        else:
            raise UserError(
                f"Legal decoding needs labels in the BIO scheme; these are {list(self.labels)}."
            )
        chosen = np.take_along_axis(trace.log_probs, prediction[:, None], axis=-1)[:, 0]
        return replace(trace, prediction=prediction, confidence=np.exp(chosen))


def _with_classifier(backbone: PreTrainedModel, labels: Sequence[str]) -> PreTrainedModel:
    """The model itself if its head fits, else a new head on the same encoder."""
    adapt_error = None
    tagger: Any = MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING.get(type(backbone.config), ())
    if isinstance(backbone, tagger) and backbone.config.num_labels == len(labels):
        network = backbone
    else:
        config = copy.deepcopy(backbone.config)  # the given model stays as it is
        config.num_labels = len(labels)
        try:
            network = AutoModelForTokenClassification.from_config(config, dtype=backbone.dtype)
        except ValueError as error:
            adapt_error = error
            network = backbone
        if adapt_error is not None:
            adapt(backbone)  # says which families are supported
            raise UserError(
                f"Models of type {config.model_type!r} have no token-classification form: "
                f"{adapt_error}"
            ) from adapt_error
        network.base_model.load_state_dict(backbone.base_model.state_dict(), strict=False)
        nn.Module.to(network, backbone.device).train(backbone.training)
    network.config.id2label = dict(enumerate(labels))
    network.config.label2id = {label: number for number, label in enumerate(labels)}
    return network
