"""Ids in, logits out, as transformers' models do it: what pipelines and other people's loops call.

The policy is inside: rows leave where it lets them, and the logits are those of their exits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedConfig
from transformers.utils.generic import ModelOutput

from tokenexit.errors import UserError
from tokenexit.halting import Sentence, Trace
from tokenexit.models.encoders.encoding import TextWindow, special_affixes
from tokenexit.models.encoders.exit_encoder import ExitEncoder

_SPACE = "Ġ▁"
"""What stands for the space before a word, in tokenizers of bytes and of sentence pieces."""

Row = tuple[list[int], list[int], list[int] | None]
"""Of a text: ids without padding, their columns, and segments where they tell anything."""

Size = Sequence[int]
Label = Callable[[Sequence[TextWindow]], Trace]

_OUT = -1e4
"""Logit of a class that is ruled out: no probability, in half precision as well."""


class _Served(PreTrainedConfig):
    """Under this name transformers' pipelines know the models with exits."""

    model_type = "tokenexit"


def serve_in_pipelines(mapping: Any, model: type) -> None:
    """Tell transformers that a model can do what those of a mapping do."""
    mapping.register(_Served, model, exist_ok=True)


@dataclass
class ExitOutput(ModelOutput):
    """What a model with exits says of token ids.

    Attributes:
        loss: Cross-entropy, or squared error, at the exits taken; None without labels. It has no
            gradient: models learn by ``tokenexit.training``.
        logits: Log-probabilities at the exits, ``[B, S, C]`` of tokens or ``[B, C]`` of texts; of
            a regression its values, ``[B, 1]``. Zero where there is no word.
        exit_layers: Layer at which each token's word, ``[B, S]``, or each text, ``[B]``, left,
            from 1; 0 where there is no word.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    exit_layers: Tensor | None = None


def forward_words(
    model: ExitEncoder, rows: Sequence[Row], shape: Size, labels: Tensor | None, label: Label
) -> ExitOutput:
    """Tag the words that token ids are made of.

    The first sub-word decides for its word. The others say the same and continue it: what the
    word begins, with B, they are inside of.

    Args:
        model: The tagger.
        rows: From ``read_rows``.
        shape: Of the ids, ``(B, S)``.
        labels: Gold classes, ``[B, S]``, -100 for none.
        label: Runs the model on windows.
    """
    windows, places = [], []
    for number, (ids, where, segments) in enumerate(rows):
        words = _words(model, ids)
        if not words:
            continue
        sentence = Sentence(ids, words, segments=segments)
        windows.append(TextWindow(number, 0, (0, len(words)), sentence))
        places += [[where[place] for place in word] for word in words]
    trace = label(windows)
    scores = torch.from_numpy(_chosen_best(trace))
    logits = scores.new_zeros(*shape, len(model.labels))
    exits = torch.zeros(*shape, dtype=torch.long)
    inside = _inside(model.labels, scores)
    for word, (number, where) in enumerate(zip(trace.text, places, strict=True)):
        logits[number, where[0]] = scores[word]
        logits[number, where[1:]] = inside[word]
        exits[number, where] = int(trace.exit_layer[word])
    loss = None
    if labels is not None:
        loss = F.cross_entropy(logits.flatten(0, 1), labels.cpu().flatten())
    return _on(model, loss, logits, exits)


def forward_texts(
    model: ExitEncoder, rows: Sequence[Row], shape: Size, labels: Tensor | None, label: Label
) -> ExitOutput:
    """Classify texts, or tell their numbers; see ``forward_words``."""
    windows = [
        TextWindow(number, 0, (0, 1), Sentence(ids, [range(len(ids))], None, segments, _item(ids)))
        for number, (ids, _, segments) in enumerate(rows)
    ]
    trace = label(windows)
    if model.scale is None:
        logits = torch.from_numpy(trace.log_probs.copy())
        loss = None if labels is None else F.cross_entropy(logits, labels.cpu().flatten())
    else:
        logits = torch.from_numpy(trace.prediction.astype(np.float32))[:, None]
        loss = None if labels is None else F.mse_loss(logits[:, 0], labels.cpu().float().flatten())
    return _on(model, loss, logits, torch.from_numpy(trace.exit_layer.astype(np.int64)))


def check_unserved(given: dict[str, Any]) -> None:
    """Refuse arguments of a forward pass that exits do not serve.

    Raises:
        UserError: Names them.
    """
    wrong = [k for k, v in given.items() if v is not None and v is not False and k != "return_dict"]
    if wrong:
        raise UserError(
            f"A model with exits does not serve {', '.join(wrong)}: give input_ids, "
            "attention_mask, token_type_ids and labels, or call model.network for one without."
        )


def read_rows(
    model: ExitEncoder, input_ids: Tensor, mask: Tensor | None, segments: Tensor | None
) -> list[Row]:
    """Texts of a batch without their padding.

    Raises:
        UserError: Shapes that do not fit, a text of padding alone, or one that is too long.
    """
    given = {"input_ids": input_ids, "attention_mask": mask, "token_type_ids": segments}
    for name, value in given.items():
        if value is None and name != "input_ids":
            continue
        if not isinstance(value, Tensor) or value.dim() != 2:
            raise UserError(f"{name} must be a tensor [texts, tokens], not {type(value).__name__}.")
        shapes = list(value.shape), list(input_ids.shape)
        if shapes[0] != shapes[1]:
            raise UserError(f"{name} has the shape {shapes[0]}, input_ids {shapes[1]}.")
    real = torch.ones_like(input_ids) if mask is None else mask
    rows = []
    for number, ids in enumerate(input_ids.tolist()):
        where = real[number].nonzero()[:, 0].tolist()
        if not where:
            raise UserError(f"Text {number} has no token that its attention_mask lets through.")
        if len(where) > model.backbone.max_length:
            raise UserError(
                f"Text {number} has {len(where)} tokens and the model reads "
                f"{model.backbone.max_length}: tokenize with truncation=True, or call predict."
            )
        kinds = None if segments is None else [int(segments[number, place]) for place in where]
        rows.append(
            ([ids[place] for place in where], where, kinds if kinds and any(kinds) else None)
        )
    return rows


def _words(model: ExitEncoder, ids: list[int]) -> list[list[int]]:
    """Places of the sub-words of each word; special tokens are none."""
    around, begins, loose = _marks(model.tokenizer, len(model.tokenizer))
    words: list[list[int]] = []
    apart = True
    for place, token in enumerate(ids):
        if token in around:
            apart = True
            continue
        if apart or token in begins:
            words.append([])
        words[-1].append(place)
        apart = token in loose
    return words


@lru_cache(maxsize=8)
def _marks(tokenizer: Any, size: int) -> tuple[frozenset[int], frozenset[int], frozenset[int]]:
    """Special ids around words; ids that begin a word; and punctuation, behind which one begins.

    Args:
        tokenizer: The tokenizer.
        size: Its entries, for it may get more.
    """
    before, after = special_affixes(tokenizer)
    rules, entries = tokenizer.backend_tokenizer.model, tokenizer.get_vocab()
    prefix = getattr(rules, "continuing_subword_prefix", None) or ""
    suffix = getattr(rules, "end_of_word_suffix", None) or ""
    # Without any marks each token is a word.
    marked = any(token[:1] in _SPACE for token in entries)
    begins, loose = set(), set()
    for token, number in entries.items():
        inside = bool(prefix) and token.startswith(prefix)
        text = token.removeprefix(prefix) if inside else token.lstrip(_SPACE)
        text = text.removesuffix(suffix)
        mark = bool(text) and text.isascii() and not any(c.isalnum() for c in text)
        if mark or (suffix and token.endswith(suffix)):
            loose.add(number)
        if mark or (not inside if prefix else not suffix and (token[:1] in _SPACE or not marked)):
            begins.add(number)
    around = frozenset([*before, *after, tokenizer.pad_token_id])
    return around, frozenset(begins), frozenset(loose)


def _chosen_best(trace: Trace) -> np.ndarray:
    """Log-probabilities of which the label chosen is the best; what would beat it is ruled out."""
    scores = trace.log_probs.copy()
    if len(scores):
        chosen = np.take_along_axis(scores, trace.prediction[:, None], axis=-1)
        scores[scores > chosen] = _OUT
    return scores


def _inside(labels: Sequence[str], scores: Tensor) -> Tensor:
    """The same for sub-words after the first: of each B the score goes to its I."""
    scores = scores.clone()
    known = {label: number for number, label in enumerate(labels)}
    for label, number in known.items():
        into = known.get(f"I-{label[2:]}") if label.startswith("B-") else None
        if into is not None:
            scores[:, into] = torch.logaddexp(scores[:, into], scores[:, number])
            scores[:, number] = _OUT
    return scores


def _item(ids: list[int]) -> int:
    return crc32(repr(ids).encode()) >> 1


def _on(model: ExitEncoder, loss: Tensor | None, logits: Tensor, exits: Tensor) -> ExitOutput:
    place = model.device
    return ExitOutput(
        loss=None if loss is None else loss.to(place),
        logits=logits.to(place),
        exit_layers=exits.to(place),
    )
