"""A generator in CTranslate2, greedy."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from tokenexit.backbones import evaluated
from tokenexit.evaluation.bench.contender import Answers, Contender
from tokenexit.evaluation.bench.peers.base import Refused
from tokenexit.evaluation.bench.peers.ct2_convert import TYPES, convert, names_of, start_with
from tokenexit.evaluation.bench.plain_generator import Source, end_tokens, written
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM

ALIKE = {
    "no_repeat_ngram_size": "no_repeat_ngram_size",
    "repetition_penalty": "repetition_penalty",
    "min_new_tokens": "min_decoding_length",
}
"""What a generation configuration may ask of greedy search, and what it is called there."""


class CTranslate2Generator(Contender):
    """Batches of sources of like lengths.

    Args:
        name: What it is called.
        precision: What it computes in.
        model: The generator; only read.
        folder: Where its files go.
        most: Tokens it may write.
    """

    by_length = True
    foreign = True

    def __init__(
        self, name: str, precision: str, model: ExitModelForSeq2SeqLM, folder: Path, most: int
    ) -> None:
        ctranslate2: Any = import_module("ctranslate2")
        self.name, self.precision, self._model = name, precision, model
        ends = end_tokens(model)
        if not ends:
            raise Refused("it needs a token that ends texts, and the model names none")
        config: Any = model.network.config
        pad = config.pad_token_id
        self._names = names_of(model.decoder.vocab_size, pad)
        self._ids = {name: number for number, name in enumerate(self._names)}
        bos = getattr(config, "bos_token_id", None)
        special = {"bos": bos, "eos": ends[0], "pad": pad, "unk": pad}
        place = convert(_copied(model), self._names, special, folder, precision)
        start_with(place, self._names[model.start_token])
        self._translator = ctranslate2.Translator(
            str(place),
            device="cpu",
            compute_type=TYPES[precision],
            inter_threads=1,
            intra_threads=torch.get_num_threads(),
        )
        self._options: dict[str, Any] = {
            "beam_size": 1,
            "max_input_length": 0,
            "max_decoding_length": most,
            "min_decoding_length": 0,
        }
        own: Any = model.network.generation_config
        for told, called in ALIKE.items():
            if getattr(own, told, None):
                self._options[called] = getattr(own, told)
        forced = own.forced_bos_token_id
        self._prefix = None if forced is None else [self._names[forced]]

    def run(self, batch: Sequence[Source]) -> list[list[str]]:
        """Names of the tokens written."""
        sources = [[self._names[token] for token in source.ids] for source in batch]
        prefix = None if self._prefix is None else [self._prefix] * len(batch)
        found = self._translator.translate_batch(
            sources, target_prefix=prefix, max_batch_size=len(batch), **self._options
        )
        return [one.hypotheses[0] for one in found]

    def answers(self, batch: Sequence[Source], output: list[list[str]]) -> Answers:
        """Tokens of each text."""
        # It leaves the end token out, and transformers may write one at the greatest length.
        end = end_tokens(self._model)[0]
        forced = self._model.network.generation_config.forced_eos_token_id
        most = self._options["max_decoding_length"]
        rows = []
        for names in output:
            row = [self._ids[name] for name in names]
            if len(row) < most:
                row.append(end)
            elif forced is not None:
                row[-1] = forced[0] if isinstance(forced, list) else forced
            rows.append(row)
        return written(self._model, batch, rows)


def _copied(model: ExitModelForSeq2SeqLM) -> Any:
    """A copy, with what the converter looks for in older configurations."""
    network: Any = copy.deepcopy(evaluated(model.network))
    network.config.decoder_start_token_id = model.start_token
    inner = getattr(network, "model", None)
    if inner is not None:  # BART and kin
        network.config.normalize_before = hasattr(inner.encoder, "layer_norm")
        network.config.normalize_embedding = hasattr(inner.encoder, "layernorm_embedding")
    return network
