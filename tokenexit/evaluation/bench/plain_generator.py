"""The transformers generator as users run it: greedy, with its default cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache

from tokenexit.evaluation.bench.contender import Answers, PlainModel
from tokenexit.models.generation.generate_texts import pad_sources
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM


@dataclass(frozen=True)
class Source:
    """One text to write from.

    Attributes:
        number: Its place.
        ids: Its tokens.
    """

    number: int
    ids: list[int]


class PlainGenerator(PlainModel):
    """The transformers generator: greedy, with its default cache.

    Args:
        model: The generator.
        most: Tokens it may write.
        by_length: See ``PlainModel``.
    """

    def __init__(self, model: ExitModelForSeq2SeqLM, most: int, by_length: bool = False) -> None:
        super().__init__(model, by_length)
        self._most = most

    def run(self, batch: Sequence[Source]) -> Tensor:
        """What was written, ``[B, T]``."""
        inputs = pad_sources(self._model, [source.ids for source in batch])
        return plain_generate(self._network, inputs, self._most)

    def answers(self, batch: Sequence[Source], output: Tensor) -> Answers:
        """Tokens of each text."""
        return written(self._model, batch, output[:, 1:].tolist())


def written(
    model: ExitModelForSeq2SeqLM, batch: Sequence[Source], rows: Sequence[Sequence[int]]
) -> dict[Any, tuple[int, ...]]:
    """Tokens up to the end, which counts, by number of the source."""
    ends = end_tokens(model)
    found = {}
    for source, row in zip(batch, rows, strict=True):
        stop = next((place for place, token in enumerate(row) if token in ends), len(row))
        found[source.number] = tuple(row[: stop + 1])
    return found


def end_tokens(model: ExitModelForSeq2SeqLM) -> tuple[int, ...]:
    """The tokens that end a text."""
    own: Any = model.network.generation_config
    told = own.eos_token_id if own.eos_token_id is not None else model.network.config.eos_token_id
    return () if told is None else tuple(told) if isinstance(told, list | tuple) else (int(told),)


@torch.inference_mode()
def plain_generate(network: Any, batch: dict[str, Tensor], most: int, **extra: Any) -> Tensor:
    """The transformers model itself, in evaluation mode, ``[B, T]``."""
    depth = getattr(network.config, "num_decoder_layers", None)
    unlike = depth not in (None, network.config.num_hidden_layers)
    if unlike and not extra:  # transformers sizes its cache by the encoder
        extra["past_key_values"] = EncoderDecoderCache(DynamicCache(), DynamicCache())
    return network.generate(**batch, max_new_tokens=most, num_beams=1, do_sample=False, **extra)
