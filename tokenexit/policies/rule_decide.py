"""The rule in plain torch: what every kernel has to equal."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tokenexit import scores
from tokenexit.policies.rule import Rule


@dataclass(frozen=True, eq=False)
class Remembered:
    """What a rule keeps of each row between exits.

    Attributes:
        last: Class predicted at the exit asked before, ``[N]``, -1 for none; or the number told
            there, NaN for none. None where the score needs neither.
        count: At how many asked exits in a row the row has been sure, ``[N]``, long.
    """

    last: Tensor | None
    count: Tensor

    def of(self, rows: Tensor) -> Remembered:
        """What is kept of some rows, by number or mask."""
        return Remembered(None if self.last is None else self.last[rows], self.count[rows])


@dataclass(frozen=True)
class Seen:
    """What is seen of rows at one layer.

    Attributes:
        logits: Class scores, ``[N, C]``, for scores ``OF_LOGITS``; of the shortlist's words
            where there is one.
        number: The number itself, ``[N]``, for all other scores: the gate, the cosine of states,
            the assigned depth.
        sequence: Which sentence each row belongs to, ``[N]``, for windows and sentences. Rows
            come in order of sentence and place.
        position: Their places in it, ``[N]``, likewise.
    """

    logits: Tensor | None = None
    number: Tensor | None = None
    sequence: Tensor | None = None
    position: Tensor | None = None


def begin(rule: Rule, num_rows: int) -> Remembered:
    """What is kept of rows that have seen no exit yet."""
    last = None
    if rule.score == "patience":
        last = torch.full((num_rows,), -1)
    elif rule.score == "change":
        last = torch.full((num_rows,), torch.nan)
    return Remembered(last, torch.zeros(num_rows, dtype=torch.long))


def decide(
    rule: Rule,
    layer: int,
    kept: Remembered,
    rows: Seen,
) -> tuple[Tensor, Remembered]:
    """Who halts at one layer.

    Args:
        rule: At a decoding step, that of the step.
        layer: From 1.
        kept: What was kept of the rows that arrive.
        rows: What is seen of them.

    Returns:
        Who halts, ``[N]`` bool, and what is kept of all rows.
    """
    if not rule.asked[layer - 1]:
        return torch.zeros(len(kept.count), dtype=torch.bool), kept
    last, logits, number, sequence = kept.last, rows.logits, rows.number, rows.sequence
    if logits is not None:
        number, last = score(rule, logits, last)
    assert number is not None
    if rule.pool == "sentence_mean":
        assert sequence is not None
        number = _mean(number, sequence)
    limit = _limit(rule, layer, logits)
    sure = number < limit if rule.low else number > limit
    count = torch.where(sure, kept.count + 1, 0)
    halt = count >= rule.patience
    if rule.pools and len(halt):
        assert sequence is not None
        if rule.pool == "sentence":
            halt = _whole(halt, sequence)
        if rule.window > 1:
            assert rows.position is not None
            halt = _window(halt, sequence, rows.position, rule.window // 2)
    return halt, Remembered(last, count)


def score(rule: Rule, logits: Tensor, last: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """The number of each row, ``[N, C] -> [N]`` float32, and what to keep for the next exit."""
    if rule.score == "patience":
        best = scores.predicted(logits)
        return ((best != last) | (best < 0)).float(), best
    if rule.score == "change":
        assert last is not None
        told = logits[:, 0].float()
        return (told - last).abs(), told
    named = {
        "entropy": scores.entropy,
        "max_prob": scores.max_prob,
        "margin": scores.margin,
        "energy": scores.energy,
    }
    return named[rule.score](logits), None


def _limit(rule: Rule, layer: int, logits: Tensor | None) -> Tensor:
    """Threshold of each row, ``[N]``, or one for all ``[1]``."""
    line = torch.tensor(rule.thresholds[layer - 1], dtype=torch.float32)
    if len(line) == 1:
        return line
    assert logits is not None
    # A row that predicts nothing has no number either, and is sure of no threshold.
    return line[scores.predicted(logits)]


def _mean(number: Tensor, sequence: Tensor) -> Tensor:
    """The mean over each row's sentence, ``[N]``: summed in float64, in order."""
    size = int(sequence.max()) + 1 if len(sequence) else 0
    none = torch.zeros(size, dtype=torch.float64)
    total = none.index_add(0, sequence, number.double())
    rows = none.index_add(0, sequence, torch.ones_like(number, dtype=torch.float64))
    return (total / rows)[sequence].float()


def _whole(halt: Tensor, sequence: Tensor) -> Tensor:
    """Nobody halts of a sentence of which one does not."""
    stays = torch.zeros(int(sequence.max()) + 1, dtype=torch.bool)
    stays[sequence[~halt]] = True
    return ~stays[sequence]


def _window(halt: Tensor, sequence: Tensor, position: Tensor, reach: int) -> Tensor:
    """Nobody halts within ``reach`` places of a row, of the same sentence, that does not."""
    found = halt.clone()
    for step in range(1, min(reach, len(halt) - 1) + 1):
        near = sequence[step:] == sequence[:-step]
        near &= position[step:] - position[:-step] <= reach
        found[step:] &= halt[:-step] | ~near
        found[:-step] &= halt[step:] | ~near
    return found
