"""From words to the sentences the engine packs, and from windows back to whole texts."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.pre_tokenizers import Sequence as PreTokenizers

from tokenexit.errors import UserError
from tokenexit.halting import Sentence
from tokenexit.models.inputs import read_targets, read_words
from tokenexit.models.tokenizing import tokenized


@dataclass(frozen=True)
class TextWindow:
    """A stretch of one text that fits the model.

    Attributes:
        text: Number of the text it belongs to.
        first: Its first word.
        keep: Words of the text that this window answers for, as ``(start, end)``; the others
            are there for context.
        sentence: What the model reads.
    """

    text: int
    first: int
    keep: tuple[int, int]
    sentence: Sentence


class WordEncoder:
    """Turns lists of words into windows.

    Every word keeps at least one sub-word: one the tokenizer would make vanish (zero-width
    characters, some emoji) becomes the unknown token. Texts longer than the model are cut at
    word borders into overlapping windows; each word is answered for by the window in which it
    stands farther from a cut.

    Args:
        tokenizer: A fast transformers tokenizer.
        max_length: Tokens the model can read, special tokens included.
        overlap: Share of a window that it has in common with the next.

    Raises:
        UserError: The tokenizer is a slow one or has no unknown token, or the model has no
            room for a word.
    """

    def __init__(self, tokenizer: Any, max_length: int, overlap: float = 0.25) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise UserError(f"Tagging needs a fast tokenizer, not {type(tokenizer).__name__}.")
        self._tokenizer = tokenizer
        self._prefix, self._suffix = special_affixes(tokenizer)
        limit = min(max_length, int(tokenizer.model_max_length))
        self._room = limit - len(self._prefix) - len(self._suffix)
        if self._room < 1:
            raise UserError(
                f"A model of {limit} positions has no room for words beside its special tokens."
            )
        self._overlap = overlap
        unknown = tokenizer.unk_token_id
        self._unknown = tokenizer.mask_token_id if unknown is None else unknown
        if self._unknown is None:
            raise UserError("The tokenizer has neither an unknown nor a mask token.")

    def encode(
        self, texts: Sequence[Sequence[str]], targets: Sequence[Sequence[int]] | None = None
    ) -> list[TextWindow]:
        """Cut texts into windows; a text without words has none.

        Args:
            texts: Words of each text.
            targets: Gold class of each word, if known.

        Raises:
            UserError: What is no list of words; texts, or the words of one, differ in number
                from their targets.
        """
        split = list(read_words(texts))
        targets = None if targets is None else read_targets(targets, len(split))
        windows: list[TextWindow] = []
        for number, subwords in enumerate(self._subwords(split)):
            gold = None if targets is None else targets[number]
            if gold is not None and len(gold) != len(subwords):
                raise UserError(
                    f"Text {number} has {len(subwords)} words and {len(gold)} labels; "
                    "there must be one label a word."
                )
            for (start, end), keep in self._windows([len(w) for w in subwords]):
                windows.append(
                    TextWindow(
                        text=number,
                        first=start,
                        keep=keep,
                        sentence=self._sentence(
                            subwords[start:end], None if gold is None else gold[start:end]
                        ),
                    )
                )
        return windows

    def _subwords(self, texts: Sequence[list[str]]) -> list[list[list[int]]]:
        filled = [words for words in texts if words]
        encoded = (
            tokenized(self._tokenizer, filled, is_split_into_words=True, add_special_tokens=False)
            if filled
            else None
        )
        out: list[list[list[int]]] = []
        place = 0
        for words in texts:
            ids: list[list[int]] = [[] for _ in words]
            if words:
                assert encoded is not None
                tokens = encoded["input_ids"][place]
                for token, word in zip(tokens, encoded.word_ids(place), strict=True):
                    if word is not None:
                        ids[word].append(token)
                place += 1
            # A word of more sub-words than the model has room for keeps its beginning.
            out.append([(word or [self._unknown])[: self._room] for word in ids])
        return out

    def _windows(self, sizes: list[int]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        spans: list[tuple[int, int]] = []
        start = 0
        while start < len(sizes):
            end, used = start, 0
            while end < len(sizes) and used + sizes[end] <= self._room:
                used += sizes[end]
                end += 1
            spans.append((start, end))
            if end == len(sizes):
                break
            start = max(start + 1, end - max(1, int((end - start) * self._overlap)))
        keeps, begin = [], 0
        for number, (_, end) in enumerate(spans):
            stop = end if number + 1 == len(spans) else (spans[number + 1][0] + end + 1) // 2
            keeps.append((begin, stop))
            begin = stop
        return list(zip(spans, keeps, strict=True))

    def _sentence(self, subwords: list[list[int]], gold: Sequence[int] | None) -> Sentence:
        ids, rows = list(self._prefix), []
        for word in subwords:
            rows.append(list(range(len(ids), len(ids) + len(word))))
            ids.extend(word)
        return Sentence(ids + self._suffix, rows, gold)


def for_words(tokenizer: Any) -> Any:
    """The tokenizer itself, or a copy that marks where each of the split words begins.

    A byte-level tokenizer takes a word without a space before it for the middle of another.
    """
    byte_level = [part for part in _pre_tokenizers(tokenizer) if isinstance(part, ByteLevel)]
    if all(part.add_prefix_space for part in byte_level):
        return tokenizer
    tokenizer = copy.deepcopy(tokenizer)
    for part in _pre_tokenizers(tokenizer):
        if isinstance(part, ByteLevel):
            part.add_prefix_space = True
    # What is saved says the same as what is done.
    tokenizer.add_prefix_space = tokenizer.init_kwargs["add_prefix_space"] = True
    return tokenizer


def _pre_tokenizers(tokenizer: Any) -> list[Any]:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    first: Any = None if backend is None else backend.pre_tokenizer
    several: Any = first if isinstance(first, PreTokenizers) else [first]
    return list(several)


def special_affixes(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Special tokens the tokenizer puts before and after a text."""
    probe = [tokenizer.unk_token_id if tokenizer.unk_token_id is not None else 0]
    plain = tokenizer("a", add_special_tokens=False)["input_ids"] or probe
    full = tokenizer("a")["input_ids"]
    for start in range(len(full) - len(plain) + 1):
        if full[start : start + len(plain)] == plain:
            return full[:start], full[start + len(plain) :]
    raise UserError(
        "The tokenizer changes a text when it adds special tokens; that cannot be used."
    )
