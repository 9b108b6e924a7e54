"""A rule on fixed shapes: what ``rule_decide`` computes, without values on the host."""

from __future__ import annotations

import torch
from torch import Tensor

from tokenexit import scores
from tokenexit.policies.rule import OF_LOGITS, Rule
from tokenexit.policies.rule_decide import score
from tokenexit.static.room import Room

KNOWN = OF_LOGITS | {"never", "depth", "gate", "saturation", "context"}
"""Scores that are computed here."""


def measure(
    room: Room, rule: Rule, layer: int, words: Tensor, logits: Tensor | None, number: Tensor | None
) -> tuple[Tensor, Tensor]:
    """What is compared with what; what is remembered of scores is written down.

    Args:
        room: The memory, which has the thresholds.
        rule: Who halts.
        layer: From 1.
        words: Numbers of the words that arrived, ``[N]``.
        logits: Class scores, ``[N, C]``, for scores ``OF_LOGITS``.
        number: The number itself, ``[N]``, for all other scores.

    Returns:
        The number of each word, ``[N]``, and its threshold, ``[N]``, or one for all, ``[1]``.
    """
    limit = room.lines[layer - 1]
    if logits is not None:
        number = _of_logits(room, rule, logits, words)
        if limit.shape[0] > 1:
            limit = limit[scores.predicted(logits)]
    assert number is not None
    if rule.pool == "sentence_mean":
        number = _mean(room, number, words)
    return number, limit


def halting(room: Room, rule: Rule, words: Tensor, number: Tensor, limit: Tensor) -> Tensor:
    """Who halts by numbers and thresholds, ``[N]`` bool; how often in a row is written down."""
    halt = number < limit if rule.low else number > limit
    if rule.patience > 1:
        times = (room.times_sure[words] + 1) * halt
        room.times_sure.index_copy_(0, words, times)
        halt = times >= rule.patience
    if rule.pool == "sentence":
        return halt & _all_sure(room, halt, words, None)
    return halt & _all_sure(room, halt, words, rule.window // 2) if rule.window > 1 else halt


def _of_logits(room: Room, rule: Rule, logits: Tensor, words: Tensor) -> Tensor:
    kept = {"patience": room.last, "change": room.told}.get(rule.score)
    number, now = score(rule, logits, None if kept is None else kept[words])
    if kept is not None and now is not None:
        kept.index_copy_(0, words, now)
    return number


def _mean(room: Room, number: Tensor, words: Tensor) -> Tensor:
    """The mean over each word's sentence, ``[N]``: summed in float64, in order."""
    sentence = room.word_sentence[words]
    none = torch.zeros(room.sizes.sentences + 1, dtype=torch.float64, device=number.device)
    total = none.index_add(0, sentence, number.double())
    count = none.index_add(0, sentence, torch.ones_like(number, dtype=torch.float64))
    return (total / count)[sentence].float()


def _all_sure(room: Room, sure: Tensor, words: Tensor, reach: int | None) -> Tensor:
    """Whether all within ``reach`` places of a word, or in its sentence, are sure, ``[N]``.

    Words that have left, and places outside of the sentence, are.
    """
    unsure = torch.zeros_like(room.alive).index_copy_(0, words, ~sure).cumsum(0)
    sentence = room.word_sentence[words]
    start, end = room.word_bounds[sentence], room.word_bounds[sentence + 1]
    if reach is not None:
        start, end = torch.maximum(words - (reach + 1), start), torch.minimum(words + reach, end)
    return unsure[end] == unsure[start]
