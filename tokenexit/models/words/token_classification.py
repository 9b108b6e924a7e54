"""A tagger whose words leave the network early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from huggingface_hub import ModelHubMixin
from torch import Tensor
from transformers import (
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
    AutoModelForTokenClassification,
    PreTrainedModel,
)

from tokenexit.backbones import adapt
from tokenexit.data.bio import is_bio
from tokenexit.errors import UserError, unknown_name
from tokenexit.halting import Halted, Trace
from tokenexit.heads import ExitHeads
from tokenexit.models import folders
from tokenexit.models.chosen import chosen_policy
from tokenexit.models.encoders.classifier import check_names, has_learned, with_classifier
from tokenexit.models.encoders.encoder_model import EncoderModel, new_parts
from tokenexit.models.encoders.encoding import WordEncoder, for_words
from tokenexit.models.encoders.forward import (
    ExitOutput,
    check_unserved,
    forward_words,
    serve_in_pipelines,
)
from tokenexit.models.encoders.run import run
from tokenexit.models.encoders.vocabulary import check_vocabulary, embeddings
from tokenexit.models.inputs import Texts, read_texts
from tokenexit.models.predict_iter import check_batch_size
from tokenexit.models.settings import DECODE, ExitSettings
from tokenexit.models.splitting.splitter import splitter as splitter_of
from tokenexit.models.splitting.splitter import warn_of_guesses
from tokenexit.models.words.constrained import legal_decoder
from tokenexit.models.words.crf import TagCRF
from tokenexit.models.words.results import TaggedText
from tokenexit.policies import Policy
from tokenexit.policies.base import check_level

_CRF = "crf."


class ExitModelForTokenClassification(
    EncoderModel,
    ModelHubMixin,
    library_name="tokenexit",
    tags=["early-exit", "token-classification"],
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
        super().__init__(network, for_words(tokenizer), heads, settings)
        self.encoder = WordEncoder(self.tokenizer, self.backbone.max_length)
        self.crf: TagCRF | None = None

    # --- building, loading, saving ---------------------------------------------------------

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
        task: str | None = None,
    ) -> Self:
        """Add exits to a transformers model in memory, ready to train.

        Args:
            backbone: A bare encoder, or one with a token-classification head whose number
                of classes fits. It stays as it is; its weights are shared.
            tokenizer: Its tokenizer.
            labels: Names of the classes; of a head that has learned some, the same names, in
                whatever order.
            exit_layers: Layers with an exit, from 1; all when None. The top always has one.
            heads: Kind and settings of the heads, ``{"name": "mlp", "gate": True}``.
            task: ``ner`` or ``pos``; told by the labels when None.

        A new head for BIO tags is decoded legally, a finished one as the plain model is; see
        ``decode`` of ``tag`` and ``configure``.

        Raises:
            UserError: Unsupported family, no such exit layer, unknown head, bad labels.
        """
        check_names(labels)
        network = with_classifier(
            backbone,
            labels,
            MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
            AutoModelForTokenClassification,
            "token-classification",
        )
        check_vocabulary(tokenizer, embeddings(network))
        stack, exits, kind = new_parts(network, labels, exit_layers, heads)
        task = task or ("ner" if is_bio(labels) else "pos")
        # What a finished head says is the plain model's answer, legal or not.
        new = is_bio(labels) and not has_learned(backbone, labels)
        decode = "legal" if new else "argmax"
        settings = ExitSettings(tuple(labels), exits, kind, task, decode=decode)
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
                than this version reads.
        """
        loaded = folders.load_kind(
            folder,
            "ExitModelForTokenClassification",
            AutoModelForTokenClassification,
            precision,
            **hub,
        )
        settings, weights = loaded.settings, loaded.weights
        with loaded.building():
            shape = adapt(loaded.network)
            exits = loaded.exits(shape.num_layers)
            heads = ExitHeads(settings.heads, exits[:-1], shape.hidden_size, len(settings.labels))
            loaded.fill(heads, {k: v for k, v in weights.items() if not k.startswith(_CRF)})
            model = cls(loaded.network, loaded.tokenizer, heads, settings)
        crf = {k.removeprefix(_CRF): v for k, v in weights.items() if k.startswith(_CRF)}
        if crf or settings.decode == "crf":
            model.crf = TagCRF(len(model.labels))
            loaded.fill(model.crf, crf, follow=False)
        loaded.rehearse(model.eval().predict)
        return model.use(precision, runtime, free=free)

    def exit_weights(self) -> dict[str, Tensor]:
        """Weights of the heads, the gate and the CRF."""
        crf = {} if self.crf is None else self.crf.state_dict()
        return {**self.heads.state_dict(), **{_CRF + key: value for key, value in crf.items()}}

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
        chosen = chosen_policy(self, policy)
        decode = decode or self.settings.decode
        if decode not in DECODE:
            raise unknown_name("way of decoding", decode, DECODE)
        check_batch_size(batch_size)
        check_level(chosen, "token")
        trace = run(
            self,
            self.encoder.encode(texts, targets),
            chosen,
            batch_size=batch_size,
            halted=halted or self.settings.halted,
        )
        return self.decided(trace, decode)

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
        texts: Texts,
        *,
        policy: Policy | Mapping[str, Any] | str | None = None,
        batch_size: int = 32,
        halted: Halted | None = None,
        decode: str | None = None,
        splitter: str | None = None,
    ) -> list[TaggedText]:
        """Label texts.

        Args:
            texts: Strings, or lists of words, in anything that can be gone through.
            policy: Who halts; the model's own policy when None.
            batch_size: Texts a batch.
            halted: See ``tag``.
            decode: See ``tag``.
            splitter: How strings become words; as the model learned when None. Lists of words
                are taken as they are.

        Returns:
            One result a text, in order; empty texts give empty results.
        """
        texts = list(read_texts(texts))
        split = splitter_of(self.settings.splitter if splitter is None else splitter)
        strings = [text for text in texts if isinstance(text, str)]
        warn_of_guesses(split, strings)
        origins = [(text, split(text)) if isinstance(text, str) else None for text in texts]
        words = [
            [origin[0][start:end] for start, end in origin[1]] if origin else list(text)
            for text, origin in zip(texts, origins, strict=True)
        ]
        trace = self.tag(words, policy=policy, batch_size=batch_size, halted=halted, decode=decode)
        bounds = np.searchsorted(trace.text, np.arange(len(words) + 1))
        return [
            TaggedText(
                found,
                [self.labels[c] for c in trace.prediction[start:end]],
                trace.exit_layer[start:end].tolist(),
                [round(float(c), 6) for c in trace.confidence[start:end]],
                *(origin or (None, None)),
            )
            for found, origin, (start, end) in zip(words, origins, pairwise(bounds), strict=True)
        ]

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
        """Tag token ids as transformers' taggers do, with the policy inside: for pipelines.

        Where words begin is told by the tokenizer's marks and by punctuation.

        Args:
            input_ids: ``[B, S]``.
            attention_mask: ``[B, S]``, 1 for real tokens.
            token_type_ids: ``[B, S]``, which of two sentences.
            labels: ``[B, S]``, -100 for no label.
            policy: Who halts; the model's own policy when None.
            others: Nothing else is served.

        Raises:
            UserError: Bad inputs, or an argument that exits do not serve.
        """
        check_unserved(others)
        chosen = chosen_policy(self, policy)
        check_level(chosen, "token")
        return forward_words(self, input_ids, attention_mask, token_type_ids, labels, chosen)

    def decided(self, trace: Trace, decode: str | None = None) -> Trace:
        """The same trace with labels chosen for each text as a whole, if they are."""
        decode = decode or self.settings.decode
        if len(trace) == 0 or decode == "argmax":
            return trace
        if decode == "crf":
            if self.crf is None:
                raise UserError("The model has no CRF: call fit_crf, or train with decode=crf.")
            parts = np.split(trace.log_probs, np.flatnonzero(np.diff(trace.text)) + 1)
            prediction = np.concatenate(self.crf.decode(parts))
        elif is_bio(self.labels):
            prediction = legal_decoder(self.labels).all(trace.log_probs, trace.text)
        else:
            raise UserError(
                f"Legal decoding needs labels in the BIO scheme; these are {list(self.labels)}."
            )
        chosen = np.take_along_axis(trace.log_probs, prediction[:, None], axis=-1)[:, 0]
        return replace(trace, prediction=prediction, confidence=np.exp(chosen))


serve_in_pipelines(MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING, ExitModelForTokenClassification)
