"""Greedy search and sampling: transformers' rules for one token after the other, lean."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from transformers.generation.stopping_criteria import EosTokenCriteria, MaxLengthCriteria

from tokenexit.decoding.sequences import Sequences

Process = Callable[[Tensor, Tensor], Tensor]
"""Scores ``[R, V]`` from the tokens so far ``[R, T]`` and the model's float32 logits."""


class Stopping:
    """Which rows have ended; the two criteria that nearly all searches have cost little.

    Args:
        criteria: transformers' list of criteria.
    """

    def __init__(self, criteria: Iterable[Any]) -> None:
        criteria = list(criteria)
        self.most = min((c.max_length for c in criteria if type(c) is MaxLengthCriteria), default=0)
        """Tokens at which all rows end; 0 if no number does."""
        self._ends = [c.eos_token_id for c in criteria if type(c) is EosTokenCriteria]
        self._others = [c for c in criteria if type(c) not in (MaxLengthCriteria, EosTokenCriteria)]
        self.simple = not self._others
        """Whether nothing but length and end tokens has a say."""
        # As in transformers: only then do rows that have ended write padding.
        self.pads = any(hasattr(c, "eos_token_id") for c in criteria)

    @property
    def end_tokens(self) -> list[int]:
        """Tokens that end a row."""
        return [int(end) for ends in self._ends for end in ends.flatten()]

    def __call__(self, tokens: Tensor, newest: Tensor) -> Tensor:
        """Rows that end here, ``[R]`` bool, from ``[R, T]`` and the last of them, ``[R]``."""
        if self.most and tokens.shape[1] >= self.most:
            return torch.ones_like(newest, dtype=torch.bool)
        done = torch.zeros_like(newest, dtype=torch.bool)
        for ends in self._ends:
            for end in ends.flatten().to(newest.device):
                done |= newest == end
        for criterion in self._others:
            done |= criterion(tokens, None)
        return done


def search(
    decoding: Sequences,
    prompt: Tensor,
    process: Process,
    stopping: Stopping,
    *,
    pad: Tensor | None,
    do_sample: bool,
    streamer: Any = None,
) -> tuple[Tensor, list[Tensor]]:
    """Generate until every row has ended.

    Args:
        decoding: With one row for each row of ``prompt``, nothing read yet.
        prompt: ``[R, n]``, one token or more.
        process: What processors make of the logits.
        stopping: When rows end.
        pad: What rows write after their end.
        do_sample: Draw the next token instead of taking the best.
        streamer: Gets new tokens.

    Returns:
        Tokens ``[R, T]``, the prompt included, and the exit layers of each step, ``[R]`` each.
    """
    for earlier in prompt[:, :-1].unbind(dim=1):
        decoding.step(earlier)
    if not do_sample and streamer is None:
        whole = decoding.greedy(prompt, process, stopping, pad)
        if whole is not None:
            return whole
    tokens, newest, layers = prompt, prompt[:, -1], []
    going, everybody = torch.ones_like(newest, dtype=torch.bool), True
    while True:
        step = decoding.step(newest, live=None if everybody or not stopping.pads else going)
        layers.append(step.exit_layers)
        scores = process(tokens, step.logits.float())
        if do_sample:
            newest = torch.multinomial(scores.softmax(dim=-1), num_samples=1).squeeze(1)
        else:
            newest = scores.argmax(dim=-1)
        if not everybody and stopping.pads and pad is not None:
            newest = newest.where(going, pad)
        tokens = torch.cat([tokens, newest[:, None]], dim=1)
        if streamer is not None:
            streamer.put(newest.cpu())
        going = going & ~stopping(tokens, newest)
        left = int(going.sum())
        if not left:
            break
        everybody = left == len(going)
    if streamer is not None:
        streamer.end()
    return tokens, layers
