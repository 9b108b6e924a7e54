"""CTranslate2: the generator converted from the same checkpoint, in fp32 and with int8 weights.

Tokens go in and out under names of our own, so any tokenizer will do, or none.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from tokenexit.backbones import evaluated
from tokenexit.evaluation.bench.contender import Answers, Contender
from tokenexit.evaluation.bench.peers.base import Peer, Refused
from tokenexit.evaluation.bench.peers.registry import PEERS
from tokenexit.evaluation.bench.plain_texts import Source, end_tokens, written
from tokenexit.models.seq2seq import ExitModelForSeq2SeqLM

PAD = "<pad>"
"""The one name that its converter of Marian looks for."""

TYPES = {"fp32": "float32", "int8": "int8"}
"""What it calls precisions."""

ALIKE = {
    "no_repeat_ngram_size": "no_repeat_ngram_size",
    "repetition_penalty": "repetition_penalty",
    "min_new_tokens": "min_decoding_length",
}
"""What a generation configuration may ask of greedy search, and what it is called there."""


@PEERS.register("ctranslate2")
class CTranslate2(Peer):
    """Greedy search over batches of sources of like lengths."""

    title = "CTranslate2, sorted"
    packages = ("ctranslate2",)

    def generator(
        self, model: ExitModelForSeq2SeqLM, precision: str, folder: Path, most: int
    ) -> Contender:
        """Convert it and open a translator."""
        names = _names(model)
        place = folder / precision
        model.network.config.save_pretrained(folder)
        _convert(model, names, folder, place, TYPES[precision])
        return _CTranslate2Generator(self.title, precision, model, names, place, most)


class _CTranslate2Generator(Contender):
    by_length = True
    foreign = True

    def __init__(
        self,
        name: str,
        precision: str,
        model: ExitModelForSeq2SeqLM,
        names: list[str],
        folder: Path,
        most: int,
    ) -> None:
        ctranslate2: Any = import_module("ctranslate2")
        self.name, self.precision, self._model, self._names = name, precision, model, names
        self._ids = {name: number for number, name in enumerate(names)}
        self._translator = ctranslate2.Translator(
            str(folder),
            device="cpu",
            compute_type=TYPES[precision],
            inter_threads=1,
            intra_threads=torch.get_num_threads(),
        )
        own: Any = model.network.generation_config
        self._options: dict[str, Any] = {
            "beam_size": 1,
            "max_input_length": 0,
            "max_decoding_length": most,
            "min_decoding_length": 0,
        }
        for told, called in ALIKE.items():
            if getattr(own, told, None):
                self._options[called] = getattr(own, told)
        forced = own.forced_bos_token_id
        self._prefix = None if forced is None else [names[forced]]

    def run(self, batch: Sequence[Source]) -> list[list[str]]:
        sources = [[self._names[token] for token in source.ids] for source in batch]
        prefix = None if self._prefix is None else [self._prefix] * len(batch)
        found = self._translator.translate_batch(
            sources, target_prefix=prefix, max_batch_size=len(batch), **self._options
        )
        return [one.hypotheses[0] for one in found]

    def answers(self, batch: Sequence[Source], output: list[list[str]]) -> Answers:
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


def _names(model: ExitModelForSeq2SeqLM) -> list[str]:
    """A name for each token, which no two share."""
    names = [f"token{number}" for number in range(model.decoder.vocab_size)]
    pad = model.network.config.pad_token_id
    if pad is not None:
        names[pad] = PAD
    return names


def _convert(
    model: ExitModelForSeq2SeqLM, names: list[str], source: Path, target: Path, quantization: str
) -> None:
    converters: Any = import_module("ctranslate2.converters")
    config: Any = model.network.config
    ends = end_tokens(model)
    if not ends:
        raise Refused("it needs a token that ends texts, and the model names none")
    # Its converter rounds weights in place and notes things in the configuration.
    network = copy.deepcopy(evaluated(model.network))
    network.config.decoder_start_token_id = model.start_token
    inner: Any = getattr(network, "model", None)
    if inner is not None:  # what its converter of BART and kin reads in older configurations
        network.config.normalize_before = hasattr(inner.encoder, "layer_norm")
        network.config.normalize_embedding = hasattr(inner.encoder, "layernorm_embedding")

    def named(token: int | None) -> str:
        return names[ends[0] if token is None else token]

    tokenizer = SimpleNamespace(
        get_vocab=lambda: {name: number for number, name in enumerate(names)},
        convert_ids_to_tokens=names.__getitem__,
        bos_token=named(getattr(config, "bos_token_id", None)),
        eos_token=named(ends[0]),
        pad_token=named(config.pad_token_id),
        unk_token=named(config.pad_token_id),
        unk_token_id=config.pad_token_id,
        special_tokens_map={},
    )

    class InMemory(converters.TransformersConverter):
        """Takes the network that is there in the place of files."""

        def load_model(self, *_: Any, **__: Any) -> Any:
            return network

        def load_tokenizer(self, *_: Any, **__: Any) -> Any:
            return tokenizer

    InMemory(str(source)).convert(str(target), quantization=quantization)
    written_config = target / "config.json"
    told = json.loads(written_config.read_text(encoding="utf-8"))
    if told.get("decoder_start_token") is None:  # mBART's is told with each text
        told["decoder_start_token"] = named(model.start_token)
        written_config.write_text(json.dumps(told), encoding="utf-8")
