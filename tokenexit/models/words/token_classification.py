"""A tagger whose words leave the network early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from transformers import (
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
    AutoModelForTokenClassification,
    PreTrainedModel,
)

from tokenexit.data.bio import is_bio
from tokenexit.errors import UserError, unknown_name
from tokenexit.halting import Halted, Trace
from tokenexit.heads import ExitHeads
from tokenexit.models import folders
from tokenexit.models.encoders.classifier import check_names, has_learned
from tokenexit.models.encoders.encoder_model import EncoderModel, new_parts
from tokenexit.models.encoders.encoding import WordEncoder, for_words
from tokenexit.models.encoders.forward import forward_words, serve_in_pipelines
from tokenexit.models.encoders.labeller import Labeller
from tokenexit.models.inputs import Texts, read_texts
from tokenexit.models.settings import DECODE, ExitSettings
from tokenexit.models.splitting.splitter import splitter as splitter_of
from tokenexit.models.splitting.splitter import warn_of_guesses
from tokenexit.models.words.constrained import legal_decoder
from tokenexit.models.words.crf import TagCRF
from tokenexit.models.words.results import TaggedText
from tokenexit.policies import PolicyLike

_CRF = "crf."


class ExitModelForTokenClassification(EncoderModel, tags=["early-exit", "token-classification"]):
    """An ordinary transformers tagger, with exits.

    Built by ``from_transformers`` or ``from_pretrained``.

    Args:
        network: A transformers model with a token-classification head.
        tokenizer: Its (fast) tokenizer.
        heads: Exit heads below the top.
        settings: Everything else that is saved with the model.
    """

    loader = "ExitModelForTokenClassification"
    auto_class = AutoModelForTokenClassification
    mapping = MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING
    form = "token-classification"
    answer = staticmethod(forward_words)

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
        exit_layers: Sequence[int] | int | None = None,
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
        ``decode`` of ``trace`` and ``configure``.

        Raises:
            UserError: Unsupported family, no such exit layer, unknown head, bad labels.
        """
        check_names(labels)
        network = cls._network(backbone, tokenizer, labels)
        stack, exits, kind = new_parts(network, labels, exit_layers, heads)
        task = task or ("ner" if is_bio(labels) else "pos")
        # What a finished head says is the plain model's answer, legal or not.
        new = is_bio(labels) and not has_learned(backbone, labels)
        decode = "legal" if new else "argmax"
        settings = ExitSettings(tuple(labels), exits, kind, task, decode=decode)
        return cls(network, tokenizer, stack, settings)

    @classmethod
    def _built(cls, loaded: folders.Loaded) -> Self:
        weights = loaded.weights
        crf = {k.removeprefix(_CRF): v for k, v in weights.items() if k.startswith(_CRF)}
        heads = {k: v for k, v in weights.items() if not k.startswith(_CRF)}
        model = super()._built(replace(loaded, weights=heads))
        if crf or model.settings.decode == "crf":
            model.crf = TagCRF(len(model.labels))
            loaded.fill(model.crf, crf, follow=False)
        return model

    def exit_weights(self) -> dict[str, Tensor]:
        """Weights of the heads, the gate and the CRF."""
        crf = {} if self.crf is None else self.crf.state_dict()
        return {**self.heads.state_dict(), **{_CRF + key: value for key, value in crf.items()}}

    # --- tagging ---------------------------------------------------------------------------

    tag = Labeller.trace

    @property
    def policy_unit(self) -> str:
        """Words."""
        return "word"

    def _halted(self, halted: Halted | None, decode: str | None) -> Halted:
        if decode is not None and decode not in DECODE:
            raise unknown_name("way of decoding", decode, DECODE)
        return halted or self.settings.halted

    def fit_crf(self, texts: Sequence[Sequence[str]], targets: Sequence[Sequence[int]]) -> None:
        """Learn a CRF on what the exits say under the model's own policy; all else is frozen.

        Args:
            texts: Words of each text.
            targets: Gold classes of each word.
        """
        trace = self.trace(texts, targets, decode="argmax")
        cuts = np.flatnonzero(np.diff(trace.text)) + 1
        crf = TagCRF(len(self.labels))
        crf.fit(np.split(trace.log_probs, cuts), np.split(trace.gold, cuts))
        self.crf = crf.eval()

    def predict(
        self,
        texts: Texts,
        *,
        policy: PolicyLike | None = None,
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
            halted: See ``trace``.
            decode: See ``trace``.
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
        trace = self.trace(
            words, policy=policy, batch_size=batch_size, halted=halted, decode=decode
        )
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
