"""What a reducer learns of the training texts before there is any training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Any

from tokenexit.errors import UserError
from tokenexit.models.encoders.encoder_model import EncoderModel
from tokenexit.reducers import Reducer, ReducerLike, from_config
from tokenexit.tasks.scoring.gold import class_numbers


def counted_reducer(model: EncoderModel, reducer: ReducerLike | None, split: Any) -> Reducer | None:
    """The reducer, with the table of the training texts if it wants one.

    Args:
        model: Whose tokenizer reads them.
        reducer: As it was configured.
        split: The labelled training texts.

    Raises:
        UserError: It counts labels, and the texts have numbers.
    """
    chosen = None if reducer is None else from_config(reducer)
    if chosen is None or not chosen.counts_tokens:
        return chosen
    if model.scale is not None:
        raise UserError(
            f"{chosen!r} counts tokens by the labels of texts, and a regression has numbers: use "
            "by_policy with hash."
        )
    special = set(model.tokenizer.all_special_ids)
    counts: dict[int, Counter[Hashable]] = {}
    for window in model.encoder.encode(split.tokens, class_numbers(split, model.labels)):
        sentence = window.sentence
        for rows, label in zip(sentence.word_rows, sentence.targets or (), strict=True):
            if label < 0:
                continue
            for token in (sentence.input_ids[row] for row in rows):
                if token not in special:
                    counts.setdefault(token, Counter())[int(label)] += 1
    return chosen.counted(counts)
