"""A rule on fixed shapes: ``rule_decide`` in other words, which no host looks at."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tokenexit import scores
from tokenexit.policies.rule import OF_LOGITS, Rule
from tokenexit.policies.rule_decide import score
from tokenexit.signals import Signals
from tokenexit.static.plan import before
from tokenexit.static.room import Room

KNOWN = OF_LOGITS | {"never", "depth", "gate", "saturation"}
"""Scores that are computed here."""


def decide(room: Room, rule: Rule, signals: Signals, words: Tensor) -> Tensor:
    """Who halts at an exit that is asked, ``[N]`` bool; what is remembered is written down.

    Args:
        room: The memory, which has the thresholds and the layers assigned to words.
        rule: Who halts.
        signals: The words that arrived.
        words: Their numbers, ``[N]``.
    """
    line = room.lines[signals.layer - 1]
    limit = line
    if rule.score in OF_LOGITS:
        number = _of_logits(room, rule, signals, words)
        if line.shape[0] > 1:
            limit = line[scores.predicted(signals.logits)]
    elif rule.score == "depth":
        number = room.depth[words].float()
    elif rule.score == "gate":
        number = signals.gate.float()
    else:
        number = _saturation(signals)
    if rule.pool == "sentence_mean":
        number = _mean(room, number, words)
    sure = number < limit if rule.low else number > limit
    times = (room.times_sure[words] + 1) * sure
    room.times_sure.index_copy_(0, words, times)
    halt = times >= rule.patience
    if rule.pool == "sentence":
        return halt & ~_anybody_near(room, ~halt, words, None)
    if rule.window > 1:
        return halt & ~_anybody_near(room, ~halt, words, rule.window // 2)
    return halt


def _of_logits(room: Room, rule: Rule, signals: Signals, words: Tensor) -> Tensor:
    kept = {"patience": room.last, "change": room.told}.get(rule.score)
    number, now = score(rule, signals.logits, None if kept is None else kept[words])
    if kept is not None and now is not None:
        kept.index_copy_(0, words, now)
    return number


def _saturation(signals: Signals) -> Tensor:
    previous = signals.previous_hidden
    if previous is None:
        return signals.hidden.new_full((len(signals),), -1.0, dtype=torch.float32)
    cosine = F.cosine_similarity(signals.hidden.float(), previous.float(), dim=-1)
    return cosine.clamp(-1.0, 1.0)


def _mean(room: Room, number: Tensor, words: Tensor) -> Tensor:
    """The mean over each word's sentence, ``[N]``: summed in float64, in order."""
    sentence = room.word_sentence[words]
    none = torch.zeros(room.sizes.sentences + 1, dtype=torch.float64, device=number.device)
    total = none.index_add(0, sentence, number.double())
    count = none.index_add(0, sentence, torch.ones_like(number, dtype=torch.float64))
    return (total / count)[sentence].float()


def _anybody_near(room: Room, unsure: Tensor, words: Tensor, reach: int | None) -> Tensor:
    """Whether anybody unsure is within ``reach`` places of a word, or in its sentence, ``[N]``.

    Words that have left, and places outside of the sentence, are sure.
    """
    total = room.sizes.rows
    flags = torch.zeros(total + 1, dtype=torch.bool, device=words.device)
    flags = flags.index_copy_(0, words, unsure)[:total]
    sentence = room.word_sentence[words]
    start, end = room.word_bounds[sentence], room.word_bounds[sentence + 1]
    if reach is not None:
        start, end = torch.maximum(words - reach, start), torch.minimum(words + reach + 1, end)
    both = torch.stack([start, end]).clamp(0, total)
    low, high = before(flags, both)
    return high > low
