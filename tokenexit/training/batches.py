"""Which examples make up each step, and which of them this process takes.

A step's examples depend on seed, epoch and step alone. They are dealt out like cards to
micro-batches and processes, so the sum of gradients is the same however they are dealt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import torch


class Example(Protocol):
    """What a step is made of: a tagged sentence, or a source with its target."""

    @property
    def targets(self) -> Sequence[float] | None:
        """Gold class of each word, or the value to learn; -100 where unknown."""
        ...

    @property
    def length(self) -> int:
        """Size, for gathering examples of like length."""
        ...

    def unlabelled(self) -> Self:
        """The same with nothing to learn."""
        ...


@dataclass(frozen=True)
class MicroBatch:
    """The part of a step that one process works on at once.

    Attributes:
        sentences: Never empty: where there are more parts than sentences, the step's first
            sentence without its labels, which weighs nothing and yet reaches no parameter
            that the step leaves alone (a gradient of zero would still move it).
        places: Place of each sentence in the whole step.
        words: Labelled words in this part.
        rows: Words with or without a label; 0 where the sentence is borrowed.
        texts: Number of each sentence in the training split.
    """

    sentences: list[Any]
    places: list[int]
    words: int
    rows: int = 0
    texts: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class TrainingStep:
    """One optimiser step.

    Attributes:
        number: Step since the start of the training, from 0.
        epoch: Epoch, from 0.
        micro_batches: This process's share, always ``accumulation`` of them.
        words: Labelled words of the whole step, over all processes.
        rows: Words with or without a label, likewise.
    """

    number: int
    epoch: int
    micro_batches: list[MicroBatch]
    words: int
    rows: int = 0


def labelled_words(example: Example) -> int:
    """Words with a gold class."""
    return sum(target != -100 for target in example.targets or ())


def steps_per_epoch(num_sentences: int, batch_size: int) -> int:
    """Optimiser steps of one pass; the last may be smaller."""
    return -(-num_sentences // batch_size)


def steps(
    sentences: Sequence[Example],
    *,
    batch_size: int,
    accumulation: int,
    seed: int,
    start: int,
    stop: int,
    rank: int = 0,
    world: int = 1,
    bucket: bool = False,
) -> Iterator[TrainingStep]:
    """Yield steps ``start`` to ``stop``; starting late gives the same steps as ever.

    Args:
        sentences: The training split.
        batch_size: Sentences a step, over all processes.
        accumulation: Micro-batches a step.
        seed: Of the order.
        start: First step.
        stop: One past the last step.
        rank: This process.
        world: Number of processes.
        bucket: Make up steps of examples of like length, where padding would cost.
    """
    per_epoch = steps_per_epoch(len(sentences), batch_size)
    words = [labelled_words(sentence) for sentence in sentences]
    rows = [len(sentence.targets or ()) for sentence in sentences]
    order: list[int] = []
    shuffled = -1
    for number in range(start, stop):
        epoch, within = divmod(number, per_epoch)
        if epoch != shuffled:
            generator = torch.Generator().manual_seed(seed * 7_919 + epoch)
            order = torch.randperm(len(sentences), generator=generator).tolist()
            if bucket:
                order = _bucketed(order, [s.length for s in sentences], batch_size, generator)
            shuffled = epoch
        chosen = order[within * batch_size : (within + 1) * batch_size]
        parts = []
        for micro in range(accumulation):
            places = list(range(rank * accumulation + micro, len(chosen), accumulation * world))
            mine = [chosen[place] for place in places]
            counts = sum(words[i] for i in mine), sum(rows[i] for i in mine)
            part = MicroBatch([sentences[i] for i in mine], places, *counts, mine)
            if not mine:
                borrowed = [sentences[chosen[0]].unlabelled()]
                part = MicroBatch(borrowed, [0], 0, texts=chosen[:1])
            parts.append(part)
        yield TrainingStep(
            number, epoch, parts, sum(words[i] for i in chosen), sum(rows[i] for i in chosen)
        )


# Steps whose examples are sorted together: enough for like lengths, few enough to stay random.
_WINDOW = 50


def _bucketed(
    order: list[int], lengths: list[int], batch_size: int, generator: torch.Generator
) -> list[int]:
    """The same examples, of like length within a step, the steps in random order."""
    batches = []
    for start in range(0, len(order), batch_size * _WINDOW):
        window = sorted(order[start : start + batch_size * _WINDOW], key=lengths.__getitem__)
        batches += [window[i : i + batch_size] for i in range(0, len(window), batch_size)]
    # The smaller rest stays last, where the steps are cut.
    rest = batches.pop() if len(batches[-1]) < batch_size else []
    shuffled = torch.randperm(len(batches), generator=generator).tolist()
    return [example for number in shuffled for example in batches[number]] + rest
