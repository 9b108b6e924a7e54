"""The generator that a run starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from transformers import AutoModelForSeq2SeqLM

from tokenexit.data.pairs import PairSplit
from tokenexit.errors import UserError
from tokenexit.models.folders import load_network, load_tokenizer
from tokenexit.models.fresh.encoder_decoder import fresh_seq2seq, like_t5, train_subword_tokenizer
from tokenexit.models.generation.languages import begin_in, knows_languages, with_languages
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.workflows.seq2seq_config import Seq2SeqConfig

EMBEDDING_RATE = 20.0
"""Of a fresh T5's word embeddings, in rates of its network. After 200 and 400 steps of 128 pairs
of Tatoeba the validation loss stood at 4.8 and 4.4 in place of 5.5 and 5.2."""


def with_embedding_rate(config: Seq2SeqConfig) -> Seq2SeqConfig:
    """Let a fresh T5's word embeddings, drawn with deviation 1, keep up with its other weights.

    Adam moves every weight by about its rate, which is little to an entry of that size.
    """
    if config.train.embedding_lr is not None or not like_t5(config.model):
        return config
    rate = EMBEDDING_RATE * config.train.lr
    return replace(config, train=replace(config.train, embedding_lr=rate))


def build_generator(config: Seq2SeqConfig, train_split: PairSplit) -> ExitModelForSeq2SeqLM:
    """The model that a run starts from: a checkpoint, or a fresh one with its tokenizer."""
    if isinstance(config.model, Mapping):
        description = dict(config.model)
        vocabulary = description.pop("vocab_size", 4000)
        lowercase = description.pop("lowercase", False)
        texts = [*train_split.sources, *(train_split.targets or [])]
        tokenizer = train_subword_tokenizer(texts, vocabulary, lowercase)
        network = fresh_seq2seq(description, tokenizer)
    else:
        tokenizer = load_tokenizer(config.model, split_words=False)
        network = load_network(config.model, AutoModelForSeq2SeqLM, dtype=torch.float32)
    languages = spoken(config, tokenizer)
    if languages:
        tokenizer = with_languages(tokenizer, *languages)
        begin_in(network, tokenizer)
    model = ExitModelForSeq2SeqLM.from_transformers(
        network,
        tokenizer,
        exit_layers=config.exit_layers,
        gate=config.gate,
        depth=config.depth,
        task=config.task,
    )
    if languages:
        model.configure(source_lang=tokenizer.src_lang, target_lang=tokenizer.tgt_lang)
    return model


def spoken(config: Seq2SeqConfig, tokenizer: Any) -> tuple[str, str] | None:
    """Languages to set in a tokenizer, from and to; None where it marks none.

    Raises:
        UserError: It marks languages, and nobody says which.
    """
    lang = config.lang.split("-") if config.lang else [None, None]
    source, target = config.source_lang or lang[0], config.target_lang or lang[-1]
    if not knows_languages(tokenizer):
        if config.source_lang or config.target_lang:
            with_languages(tokenizer, str(source), str(target))  # says why not
        return None
    target = target or tokenizer.tgt_lang
    if not target:
        raise UserError(
            "The model reads and writes many languages: say which with lang=en-de, or with "
            "source_lang and target_lang."
        )
    return source or tokenizer.src_lang, target


def usual_prefixes(model: ExitModelForSeq2SeqLM) -> str:
    """What the configuration of a checkpoint says should stand before sources, task by task."""
    tasks = getattr(model.network.config, "task_specific_params", None)
    if not isinstance(tasks, Mapping):
        return ""
    told = [task.get("prefix") for task in tasks.values() if isinstance(task, Mapping)]
    return ", ".join(repr(prefix) for prefix in told if isinstance(prefix, str) and prefix)
