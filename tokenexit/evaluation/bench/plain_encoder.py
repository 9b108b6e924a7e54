"""The transformers model of a tagger or classifier as users run it: padded batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tokenexit.backbones import evaluated
from tokenexit.evaluation.bench.contender import Answers, PlainModel
from tokenexit.halting import Sentence
from tokenexit.models.encoders.encoder_model import EncoderModel
from tokenexit.models.encoders.encoding import TextWindow


class PlainEncoder(PlainModel):
    """The transformers model of a tagger or classifier."""

    def run(self, batch: Sequence[TextWindow]) -> NDArray[Any]:
        """Output of each token, or text."""
        return self._read(plain_logits(self._model, [p.sentence for p in batch], self._network))

    def _read(self, logits: Tensor) -> NDArray[Any]:
        if self._model.scale is not None:
            return logits.float().cpu().numpy()
        return logits.argmax(dim=-1).cpu().numpy()

    def answers(self, batch: Sequence[TextWindow], output: NDArray[Any]) -> Answers:
        """Classes of words or texts."""
        return word_answers(self._model, batch, output)


def word_answers(
    model: EncoderModel, batch: Sequence[TextWindow], output: NDArray[Any]
) -> dict[Any, Any]:
    """What a padded batch says of the words that its windows answer for.

    Args:
        model: The model, for its scale.
        batch: Windows of texts.
        output: Classes of tokens ``[B, M]`` or of texts ``[B]``; scores ``[B, 1]`` of a
            regression.

    Returns:
        By text and word; values of a regression are told to a hundredth of a deviation.
    """
    found = {}
    for window, row in zip(batch, output, strict=True):
        for word in range(*(place - window.first for place in window.keep)):
            key = (window.text, window.first + word)
            if model.scale is not None:
                found[key] = round(float(row[0]), 2)
            else:
                place = window.sentence.word_rows[word][0]
                found[key] = int(row[place] if row.ndim else row)
    return found


def padded(model: EncoderModel, sentences: Sequence[Sentence]) -> dict[str, NDArray[np.int64]]:
    """Inputs of one padded batch, ``[B, M]`` each."""
    longest = max(s.length for s in sentences)
    pad = model.network.config.pad_token_id or 0
    ids = np.full((len(sentences), longest), pad, dtype=np.int64)
    mask = np.zeros_like(ids)
    kinds = np.zeros_like(ids)
    for row, sentence in enumerate(sentences):
        ids[row, : sentence.length] = sentence.input_ids
        mask[row, : sentence.length] = 1
        if sentence.segments is not None:
            kinds[row, : sentence.length] = sentence.segments
    inputs = {"input_ids": ids, "attention_mask": mask}
    if any(s.segments is not None for s in sentences):
        inputs["token_type_ids"] = kinds
    return inputs


def plain_logits(
    model: EncoderModel, sentences: Sequence[Sentence], network: nn.Module | None = None
) -> Tensor:
    """The transformers model itself on one padded batch: ``[B, M, C]``, or ``[B, C]`` of texts.

    Args:
        model: Says how sentences are padded.
        sentences: The batch.
        network: Its network in evaluation mode, where that is known already.
    """
    inputs = padded(model, sentences)
    network = evaluated(model.network) if network is None else network
    given = {name: torch.from_numpy(value).to(model.device) for name, value in inputs.items()}
    return network(**given).logits


@torch.inference_mode()
def plain_forward(
    model: EncoderModel, sentences: Sequence[Sentence], network: nn.Module | None = None
) -> Tensor:
    """Predicted classes of ``plain_logits``, ``[B, M]`` or ``[B]``."""
    return plain_logits(model, sentences, network).argmax(dim=-1).cpu()
