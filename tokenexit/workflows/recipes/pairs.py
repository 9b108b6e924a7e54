"""Token ids of sources and targets, as training takes them."""

from __future__ import annotations

from typing import Any

from tokenexit.data.pairs import PairSplit
from tokenexit.decoding.teacher_forcing import Pair
from tokenexit.errors import UserError
from tokenexit.models.generation.generate_texts import encode_texts
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.models.generation.text_ids import cut, special_ends


def training_pairs(
    model: ExitModelForSeq2SeqLM, split: PairSplit, max_source: int = 512, max_target: int = 128
) -> list[Pair]:
    """Token ids of a split; special tokens stay where a text is cut.

    The decoder reads what the plain model makes of labels: its start token, and what it has
    written so far. mBART's is the last of the labels instead: a language, or the end token.
    """
    if split.targets is None:
        raise UserError(f"{split.origin} has no targets to train on.")
    wrapped = model.network.config.model_type == "mbart"
    start = None if wrapped else model.start_token
    most = min(max_target, model.decoder.max_length or max_target)
    sources = encode_texts(model, split.sources)
    targets: Any = model.tokenizer(text_target=split.targets, verbose=False)["input_ids"]
    of_source = special_ends(model.tokenizer)
    of_target = special_ends(model.tokenizer, target=True)
    pairs = []
    for source, target in zip(sources, targets, strict=True):
        source, target = cut(source, max_source, of_source), cut(target, most, of_target)
        first = target[-1] if start is None else start
        pairs.append(Pair(source, target, [first, *target[:-1]]))
    return pairs
