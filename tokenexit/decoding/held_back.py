"""Words that greedy search may not write before a text has some length."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.generation.logits_process import (
    MinLengthLogitsProcessor,
    MinNewTokensLengthLogitsProcessor,
)


@dataclass(frozen=True, eq=False)
class HeldBack:
    """Words that may not be written before a text has some length.

    Attributes:
        words: Which, ``[n]``.
        until: The length, the prompt included.
    """

    words: Tensor
    until: int


def held_back(process: Iterable[Any]) -> HeldBack | None:
    """What processors hold back; None if there is one of another kind."""
    words, until = torch.zeros(0, dtype=torch.long), 0
    for each in process:
        if type(each) is MinLengthLogitsProcessor:
            length = each.min_length
        elif type(each) is MinNewTokensLengthLogitsProcessor:
            length = each.prompt_length_to_skip + each.min_new_tokens
        else:
            return None
        ends = each.eos_token_id.flatten().long().cpu()
        if len(words) and not torch.equal(words, ends):
            return None
        words, until = ends, max(until, int(length))
    return HeldBack(words, until)
