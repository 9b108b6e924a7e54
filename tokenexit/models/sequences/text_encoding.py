"""From texts, or pairs of texts, to the sentences the engine packs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any
from zlib import crc32

from tokenexit.errors import UserError
from tokenexit.halting import Sentence
from tokenexit.models.encoders.encoding import TextWindow
from tokenexit.models.inputs import read_parts, read_targets
from tokenexit.models.scale import Scale
from tokenexit.models.tokenizing import tokenized

logger = logging.getLogger(__name__)

Parts = Sequence[str]
"""One text as a list of one or two strings."""


class TextEncoder:
    """Turns texts into windows of one word each, decided by the text's first token.

    A text that leaves takes all its tokens with it. Texts longer than the model are cut, of a
    pair the longer one first, and counted in a warning.

    Args:
        tokenizer: A transformers tokenizer.
        max_length: Tokens the model can read, special tokens included.
        scale: Of a regression, whose targets are values.

    Raises:
        UserError: The model has no room for a text.
    """

    def __init__(self, tokenizer: Any, max_length: int, scale: Scale | None = None) -> None:
        self._tokenizer = tokenizer
        self._scale = scale
        self._limit = min(max_length, int(tokenizer.model_max_length))
        if self._limit <= tokenizer.num_special_tokens_to_add(pair=True):
            raise UserError(
                f"A model of {self._limit} positions has no room beside its special tokens."
            )

    def encode(
        self, texts: Sequence[Parts], targets: Sequence[Sequence[float]] | None = None
    ) -> list[TextWindow]:
        """One window a text; an empty string is a text like others.

        Args:
            texts: One or two strings each.
            targets: Gold class of each text, or its value, in a list of one, if known.

        Raises:
            UserError: A text is not one or two strings, texts and pairs are mixed, or texts and
                targets differ in number.
        """
        texts = list(read_parts(texts, "trace"))
        targets = None if targets is None else read_targets(targets, len(texts))
        if targets is not None and self._scale is not None:
            targets = [[self._scale.deviation(value) for value in row] for row in targets]
        if not texts:
            return []
        firsts = [text[0] for text in texts]
        seconds = [text[1] for text in texts] if len(texts[0]) == 2 else None
        lengths = tokenized(self._tokenizer, firsts, seconds, truncation=False)["input_ids"]
        cut = sum(len(ids) > self._limit for ids in lengths)
        if cut:
            logger.warning(
                "%d of %d texts are longer than %d tokens and cut.", cut, len(texts), self._limit
            )
        found = tokenized(self._tokenizer, firsts, seconds, truncation=True, max_length=self._limit)
        segments = found.get("token_type_ids")
        return [
            TextWindow(
                text=number,
                first=0,
                keep=(0, 1),
                sentence=Sentence(
                    ids,
                    [range(len(ids))],
                    None if targets is None else targets[number],
                    segments[number] if segments and any(segments[number]) else None,
                    crc32(repr(ids).encode()) >> 1,
                ),
            )
            for number, ids in enumerate(found["input_ids"])
        ]
