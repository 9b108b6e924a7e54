"""Texts in, texts out: what surrounds generation."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from tokenexit.errors import UserError
from tokenexit.models.encoders.vocabulary import check_vocabulary, embeddings
from tokenexit.models.generation.exit_seq2seq import ExitSeq2Seq
from tokenexit.models.generation.generate import Generated
from tokenexit.models.generation.text_ids import cut, special_ends
from tokenexit.models.generation.token_texts import token_texts
from tokenexit.models.inputs import read_strings
from tokenexit.models.predict_iter import check_batch_size
from tokenexit.models.tokenizing import tokenized

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GeneratedText:
    """One generated text.

    Attributes:
        text: The text, special tokens left out.
        tokens: Its tokens as the vocabulary writes them, the end token included.
        exit_layers: Layer at which each token left the decoder, from 1.
        token_ids: Their ids.
        token_texts: What each adds to the text; of the bytes of one character, the last adds it.
    """

    text: str
    tokens: list[str]
    exit_layers: list[int]
    token_ids: list[int]
    token_texts: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return asdict(self)


def encode_texts(model: ExitSeq2Seq, texts: Iterable[str]) -> list[list[int]]:
    """Token ids of sources, with the model's prefix; too long ones are cut, and counted aloud.

    Raises:
        UserError: No tokenizer, or something that is no text.
    """
    if model.tokenizer is None:
        raise UserError("The model has no tokenizer: give ids to generate, or load one with it.")
    texts = [model.settings.source_prefix + text for text in read_strings(texts)]
    if not texts:
        return []
    ids: list[list[int]] = tokenized(model.tokenizer, texts, truncation=False)["input_ids"]
    entries = embeddings(model.network)
    if len(model.tokenizer) > entries and any(max(row, default=0) >= entries for row in ids):
        check_vocabulary(model.tokenizer, entries)
    most = model.decoder.max_length
    if most is not None and any(len(row) > most for row in ids):
        count = sum(len(row) > most for row in ids)
        logger.warning("%d of %d texts are longer than %d tokens and cut.", count, len(ids), most)
        ends = special_ends(model.tokenizer)
        ids = [cut(row, most, ends) for row in ids]
    return ids


def source_batches(
    model: ExitSeq2Seq, texts: Iterable[str], batch_size: int
) -> Iterator[dict[str, Tensor]]:
    """Padded batches of sources, in order."""
    check_batch_size(batch_size)
    ids = encode_texts(model, texts)
    for start in range(0, len(ids), batch_size):
        yield pad_sources(model, ids[start : start + batch_size])


def pad_sources(model: ExitSeq2Seq, ids: Sequence[Sequence[int]]) -> dict[str, Tensor]:
    """One padded batch, ``[B, S]`` each."""
    pad = model.network.config.pad_token_id or 0
    rows = [torch.tensor(list(row), dtype=torch.long) for row in ids]
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad)
    ones = [torch.ones_like(row) for row in rows]
    mask = torch.nn.utils.rnn.pad_sequence(ones, batch_first=True)
    return {"input_ids": padded.to(model.device), "attention_mask": mask.to(model.device)}


def read_outputs(model: ExitSeq2Seq, found: Generated, sources: int) -> list[GeneratedText]:
    """Texts of a batch; of several sequences a source, the first."""
    copies = len(found.sequences) // max(sources, 1)
    layers = found.exit_layers[::copies].cpu().tolist()
    prompt = found.sequences.shape[1] - found.exit_layers.shape[1]
    rows = found.sequences[::copies, prompt:].cpu().tolist()
    results = []
    for ids, exits in zip(rows, layers, strict=True):
        # A token after the end has no exit layer.
        kept = [i for i, layer in enumerate(exits) if layer]
        results.append(generated_text(model, [ids[i] for i in kept], [exits[i] for i in kept]))
    return results


def generated_text(model: ExitSeq2Seq, ids: list[int], exits: list[int]) -> GeneratedText:
    """What tokens, and where they left, say to a reader."""
    text = model.tokenizer.decode(ids, skip_special_tokens=True)
    # Networks have room for more entries than their tokenizers.
    tokens = [token or "" for token in model.tokenizer.convert_ids_to_tokens(ids)]
    shown = token_texts(model.tokenizer, tokens)
    return GeneratedText(text.strip(), tokens, exits, ids, shown)
