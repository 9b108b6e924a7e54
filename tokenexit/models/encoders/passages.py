"""Running text as windows of tokens, and masked windows as sentences for the engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from tokenexit.errors import UserError
from tokenexit.halting import Sentence
from tokenexit.models.tokenizing import tokenized

_TEXTS = 500
_SHORTEST = 4


@dataclass(frozen=True, eq=False)
class Passage:
    """A window of running text; which tokens are masked is drawn anew in each step.

    Attributes:
        input_ids: With special tokens, ``[T]``.
        words: Number of each token's word, -1 for special tokens, ``[T]``.
        masks: Tokens to mask, at most.
        idle: Whether nothing is learned from it.
    """

    input_ids: NDArray[np.int32]
    words: NDArray[np.int32]
    masks: int
    idle: bool = False

    @property
    def targets(self) -> list[int]:
        """As many as are masked, for counting what a step teaches; see ``Example``."""
        return [-100 if self.idle else 0] * self.masks

    @property
    def length(self) -> int:
        """Tokens."""
        return len(self.input_ids)

    def unlabelled(self) -> Self:
        """The same with nothing to learn."""
        return replace(self, idle=True)


@dataclass(frozen=True)
class Masking:
    """BERT's masking: of the tokens chosen 80 % become the mask, 10 % any token, 10 % stay.

    Attributes:
        mask_id: Of the mask token.
        entries: Size of the vocabulary.
        whole_words: Whether a word is chosen with all its tokens. One that does not fit into what
            is left to mask is passed over, so that a few less may be masked.
    """

    mask_id: int
    entries: int
    whole_words: bool = False

    def __call__(self, passage: Passage, seed: int) -> Sentence:
        """A sentence whose words are the tokens to guess.

        Args:
            passage: The window.
            seed: On which alone the draw depends.
        """
        random = torch.Generator().manual_seed(seed % (2**63 - 1))
        chosen = sorted(self._chosen(passage, random))
        lots = torch.rand(len(chosen), generator=random).tolist()
        others = torch.randint(self.entries, (len(chosen),), generator=random).tolist()
        ids = passage.input_ids.tolist()
        gold = [-100 if passage.idle else ids[place] for place in chosen]
        for place, lot, other in zip(chosen, lots, others, strict=True):
            if lot < 0.9:
                ids[place] = self.mask_id if lot < 0.8 else other
        return Sentence(ids, [[place] for place in chosen], gold)

    def _chosen(self, passage: Passage, random: torch.Generator) -> list[int]:
        places = np.flatnonzero(passage.words >= 0)
        if self.whole_words:
            starts = np.flatnonzero(np.diff(passage.words[places])) + 1
            units = np.split(places, starts)
        else:
            units = [*places[:, None]]
        found: list[int] = []
        for number in torch.randperm(len(units), generator=random).tolist():
            if len(found) + len(units[number]) <= passage.masks:
                found += units[number].tolist()
        return found or places[: passage.masks].tolist()  # every word is longer than that


def masking_of(tokenizer: Any, whole_words: bool) -> Masking:
    """The masking for a tokenizer.

    Raises:
        UserError: It has no mask token.
    """
    if tokenizer.mask_token_id is None:
        raise UserError(
            "The tokenizer has no mask token, so nothing can be masked: start from a model that "
            "was trained with one, or add it, tokenizer.add_special_tokens({'mask_token': ...})."
        )
    return Masking(int(tokenizer.mask_token_id), len(tokenizer), whole_words)


def read_windows(
    tokenizer: Any, texts: Sequence[str], max_length: int, share: float
) -> Iterator[Passage]:
    """Cut texts into windows; ends of a few tokens are left out.

    Args:
        tokenizer: A fast one.
        texts: Of any length.
        max_length: Tokens of a window, special tokens included.
        share: Of its tokens to mask, at least one.
    """
    for start in range(0, len(texts), _TEXTS):
        told = {"truncation": True, "max_length": max_length, "return_overflowing_tokens": True}
        found = tokenized(tokenizer, list(texts[start : start + _TEXTS]), **told)
        for one in found.encodings or ():
            words = np.array([-1 if w is None else w for w in one.word_ids], dtype=np.int32)
            words[np.array(one.special_tokens_mask, dtype=bool)] = -1
            real = int((words >= 0).sum())
            if real >= _SHORTEST:
                masks = max(1, round(share * real))
                yield Passage(np.array(one.ids, dtype=np.int32), words, masks)
