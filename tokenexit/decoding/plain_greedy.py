"""Greedy search in which nothing but length and end tokens has a say.

transformers' preparations for a search take as long as a dozen tokens of a small model in kernels;
here there is nothing to prepare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessorList
from transformers.generation.stopping_criteria import EosTokenCriteria, MaxLengthCriteria

from tokenexit.decoding.search import Stopping, search
from tokenexit.decoding.sequences import Sequences

_READ = {
    "max_new_tokens", "eos_token_id", "pad_token_id", "bos_token_id", "decoder_start_token_id",
    "return_dict_in_generate", "use_cache", "transformers_version",
}  # fmt: skip
_FRESH = GenerationConfig()
_USUAL = {**vars(_FRESH), **_FRESH._get_default_generation_params()}
NO_PROCESSORS: Any = LogitsProcessorList()
_CONTROLS = frozenset(_USUAL) - _READ


@dataclass(frozen=True)
class PlainGreedy:
    """What such a search needs to know.

    Attributes:
        start: Token that the decoder reads first.
        most: Tokens to write at most.
        ends: Tokens that end a text.
        pad: What is written after the end.
    """

    start: int
    most: int
    ends: tuple[int, ...]
    pad: int

    def __call__(self, decoding: Sequences, rows: int) -> tuple[Tensor, list[Tensor]]:
        """Tokens ``[rows, T]`` and exit layers of each step; see ``search``."""
        prompt = torch.full((rows, 1), self.start)
        criteria = [MaxLengthCriteria(self.most + 1), EosTokenCriteria(list(self.ends))]
        return search(
            decoding,
            prompt,
            NO_PROCESSORS,
            Stopping(criteria),
            pad=torch.tensor(self.pad),
            do_sample=False,
        )


def plain_greedy(
    given: Mapping[str, Any], own: GenerationConfig, config: Any
) -> PlainGreedy | None:
    """The search that settings ask for, if they ask for nothing else.

    Args:
        given: Arguments of ``generate``, checked.
        own: The model's ``generation_config``.
        config: The model's configuration, which transformers refuses where it controls generation.
    """
    settings = {**vars(own), **given}
    if any(_special(name, value) for name, value in settings.items()):
        return None
    if any(_special(name, vars(config)[name]) for name in _CONTROLS & vars(config).keys()):
        return None
    start = settings.get("decoder_start_token_id")
    start = settings.get("bos_token_id") if start is None else start
    ends = settings.get("eos_token_id")
    ends = [ends] if isinstance(ends, int) else ends
    known = (start, settings.get("max_new_tokens"), settings.get("pad_token_id"))
    if not ends or not all(type(number) is int for number in (*known, *ends)):
        return None
    return PlainGreedy(known[0], known[1], tuple(ends), known[2])  # type: ignore[arg-type]


def _special(name: str, value: Any) -> bool:
    """Whether a setting asks for more than the best token again and again."""
    if name in _READ or name[0] == "_" or value is None or value is False:
        return False
    usual = _USUAL.get(name)
    return type(value) is not type(usual) or value != usual
