"""Contenders take turns on the same texts, under one clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from tokenexit.evaluation.bench.contender import Contender, Missing, because


@dataclass
class Timed:
    """What one contender did.

    Attributes:
        contender: Who.
        seconds: Of each pass over all texts.
        outputs: Batches of the first pass, which is not timed, and what was computed of them.
        reason: Why it could not go on; None for one that did.
    """

    contender: Contender
    seconds: list[float] = field(default_factory=list)
    outputs: list[tuple[Sequence[Any], Any]] = field(default_factory=list)
    reason: str | None = None


def race(
    contenders: Sequence[Contender | Missing],
    items: Sequence[Any],
    length: Callable[[Any], int],
    *,
    batch_size: int,
    repeats: int,
    turn: int,
    device: torch.device,
) -> list[Timed | Missing]:
    """Time contenders.

    Args:
        contenders: Who takes part, and who cannot.
        items: Encoded texts.
        length: Tokens of one, by which batches of like lengths are made.
        batch_size: Texts a batch.
        repeats: Passes over all texts, after one that is not counted.
        turn: Texts at least that one computes before the next: nobody waits for the weights of
            all others to leave the processor's caches after each text, so neither is that timed.
        device: Where ours computes.

    Returns:
        One entry for each contender, in order.
    """
    found: list[Timed | Missing] = [
        one if isinstance(one, Missing) else Timed(one) for one in contenders
    ]
    timed = [one for one in found if isinstance(one, Timed)]
    by_length = sorted(items, key=length, reverse=True)
    texts = -(-turn // batch_size) * batch_size
    if any(one.contender.own_batches for one in timed):
        texts = len(items)
    starts = range(0, len(items), texts)
    for number in range(repeats + 1):
        spent = [0.0] * len(timed)
        for place, start in enumerate(starts):
            for which in _order(len(timed), number + place):
                one = timed[which]
                if one.reason is None:
                    given = by_length if one.contender.by_length else items
                    part = given[start : start + texts]
                    spent[which] += _turn(one, part, batch_size, device, keep=number == 0)
        for one, total in zip(timed, spent, strict=True):
            if number and one.reason is None:
                one.seconds.append(total)
    return found


def _order(count: int, turn: int) -> list[int]:
    """Who goes first changes from turn to turn, and so does who comes after whom."""
    order = [(turn + step) % count for step in range(count)]
    return order if turn % 2 else order[:1] + order[:0:-1]


def _turn(
    one: Timed, items: Sequence[Any], batch_size: int, device: torch.device, keep: bool
) -> float:
    size = len(items) if one.contender.own_batches else batch_size
    batches = [items[i : i + size] for i in range(0, len(items), size)]
    outputs: list[Any] = []
    try:
        with torch.inference_mode():
            spent = seconds(lambda: outputs.extend(map(one.contender.run, batches)), device)
    except Exception as error:
        if not one.contender.foreign:
            raise
        one.reason = because(error)
        return 0.0
    if keep:
        one.outputs += zip(batches, outputs, strict=True)
    return spent


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Time of one call, with everything it started on the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start
