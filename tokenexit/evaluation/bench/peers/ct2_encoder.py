"""A tagger or classifier in CTranslate2, which removes padding as ours does."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tokenexit.backbones import adapt, evaluated
from tokenexit.evaluation.bench.contender import Answers, Contender
from tokenexit.evaluation.bench.peers.ct2_convert import TYPES, convert, names_of
from tokenexit.evaluation.bench.plain_encoder import word_answers
from tokenexit.models.encoders.encoder_model import EncoderModel
from tokenexit.models.encoders.encoding import TextWindow


class CTranslate2Encoder(Contender):
    """All layers there, the small head in torch.

    Args:
        name: What it is called.
        precision: What it computes in.
        model: The model; only read.
        folder: Where its files go.
    """

    by_length = True
    foreign = True

    def __init__(self, name: str, precision: str, model: EncoderModel, folder: Path) -> None:
        ctranslate2: Any = import_module("ctranslate2")
        self.name, self.precision, self._model = name, precision, model
        self._plain = adapt(evaluated(model.network))
        config: Any = model.network.config
        pad = config.pad_token_id
        special: dict[str, int | None] = dict.fromkeys(("bos", "eos", "pad", "unk"), pad)
        names = names_of(config.vocab_size, pad)
        self._encoder = ctranslate2.Encoder(
            str(convert(_body(model), names, special, folder, precision)),
            device="cpu",
            compute_type=TYPES[precision],
            inter_threads=1,
            intra_threads=torch.get_num_threads(),
        )

    def run(self, batch: Sequence[TextWindow]) -> NDArray[Any]:
        """Output of each token, or text."""
        sentences = [window.sentence for window in batch]
        options: dict[str, Any] = {}
        if any(sentence.segments is not None for sentence in sentences):
            longest = max(sentence.length for sentence in sentences)
            kinds = [list(s.segments or [0] * s.length) for s in sentences]
            options["token_type_ids"] = [row + [0] * (longest - len(row)) for row in kinds]
        found = self._encoder.forward_batch([list(s.input_ids) for s in sentences], **options)
        hidden = torch.from_numpy(np.array(found.last_hidden_state, copy=False))
        if self._plain.of_texts:
            logits = self._plain.classify(hidden[:, 0])
        else:
            logits = self._plain.classify(hidden.flatten(0, 1)).unflatten(0, hidden.shape[:2])
        return logits.numpy() if self._model.scale is not None else logits.argmax(-1).numpy()

    def answers(self, batch: Sequence[TextWindow], output: NDArray[Any]) -> Answers:
        """Classes of words or texts."""
        return word_answers(self._model, batch, output)


def _body(model: EncoderModel) -> Any:
    """A copy of what the converter takes, with what it looks for in older versions of it."""
    network: Any = evaluated(model.network)
    whole = network.config.model_type == "xlm-roberta"  # of which it wants the whole
    body = copy.deepcopy(network if whole else adapt(network).base)
    if not hasattr(body.config, "position_embedding_type"):
        body.config.position_embedding_type = "absolute"
    if network.config.model_type == "bert" and getattr(body, "pooler", None) is None:
        body.pooler = nn.Module()  # one product a text, of which nothing is read
        body.pooler.dense = nn.Linear(body.config.hidden_size, body.config.hidden_size)
    return body
