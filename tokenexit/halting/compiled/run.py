"""Whole batches in one call each: where a rule decides, or nobody leaves."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tokenexit.halting.compiled import structs
from tokenexit.halting.compiled.encoder import CompiledEncoder
from tokenexit.halting.compiled.rules import CompiledRule, RuleStruct, silent
from tokenexit.halting.compiled.structs import address
from tokenexit.halting.flat import FlatTexts
from tokenexit.halting.rows import HALTED, Halted
from tokenexit.halting.trace import LayerWork, Work


@dataclass(frozen=True, eq=False)
class Decided:
    """Where each word left, and what was said of it there, in order of sentence and place.

    Attributes:
        logits: Class scores at the exits, ``[W, C]``.
        exit_layers: ``[W]``, from 1.
        work: Work of each layer.
    """

    logits: np.ndarray
    exit_layers: np.ndarray
    work: Work


def run_rule(
    encoder: CompiledEncoder,
    texts: FlatTexts,
    rule: CompiledRule,
    batches: Iterable[range],
    halted: Halted = "copy",
) -> Decided:
    """Run sentences through a network from which a rule lets words leave.

    Args:
        encoder: The network.
        texts: All sentences.
        rule: Who leaves.
        batches: Which of them go together, as stretches.
        halted: What halted words still give to the others.
    """
    words = texts.num_words
    logits = np.empty((words, encoder.classes), dtype=np.float32)
    layers = np.zeros(words, dtype=np.int32)
    depths = rule.depths(texts)
    calls = Calls(encoder, texts)
    struct = rule.plain if depths is None else rule.struct(depths)
    outcome = calls.outcome
    to, where = address(logits), address(layers)
    for batch in batches:
        at = calls.choose(batch)
        outcome.logits = to + at * logits.strides[0]
        outcome.exit_layer = where + at * layers.itemsize
        if depths is not None:
            struct.depths = address(depths[at:])
        calls.run(struct, halted)
    if halted == "restore":  # the top head scored every word, wherever it left
        calls.work[-1, 3] = words
    return Decided(logits, layers, calls.done())


def run_exits(encoder: CompiledEncoder, texts: FlatTexts, batches: Iterable[range]) -> np.ndarray:
    """What every exit says of every word when nobody leaves, ``[E, W, C]``."""
    exits = len(encoder.exits) + 1
    tables = [np.empty((exits, 0, encoder.classes), dtype=np.float32)]
    calls = Calls(encoder, texts)
    rule = silent(encoder.num_layers).struct(None)
    for batch in batches:
        at = calls.choose(batch)
        words = int(texts.word_start[batch.stop]) - at
        tables.append(np.empty((exits, words, encoder.classes), dtype=np.float32))
        calls.outcome.exits = address(tables[-1])
        calls.run(rule, "copy")
    return np.concatenate(tables, axis=1)


class Calls:
    """Calls of the kernels, one a batch.

    Args:
        encoder: The network.
        texts: All sentences.
    """

    def __init__(self, encoder: CompiledEncoder, texts: FlatTexts) -> None:
        encoder.library.match_threads()
        self._library, self._network = encoder.library, encoder.reaching(texts)
        self._starts = texts.row_start, texts.word_start
        self._where = address(texts.row_start), address(texts.word_start)
        self.texts = structs.Texts(
            0,
            0,
            *self._where,
            address(texts.ids),
            address(texts.segments),
            address(texts.row_word),
            address(texts.first),
        )
        self.work = np.zeros((encoder.num_layers, structs.WORK), dtype=np.int64)
        self.outcome = structs.Outcome(0, 0, address(self.work))

    def choose(self, batch: range) -> int:
        """Turn to some sentences; returns the number of their first word."""
        self.texts.size = len(batch)
        rows, words = self._where
        self.texts.row_start, self.texts.word_start = (
            rows + 4 * batch.start,
            words + 4 * batch.start,
        )
        return int(self._starts[1][batch.start])

    def run(self, rule: RuleStruct, halted: Halted) -> None:
        """All layers and exits of the sentences chosen."""
        self._library.encoder_run(
            ctypes.addressof(self._network),
            ctypes.addressof(self.texts),
            ctypes.addressof(rule),
            HALTED.index(halted),
            ctypes.addressof(self.outcome),
        )

    def done(self, gates: Sequence[int] | None = None) -> Work:
        """Work of each layer.

        Args:
            gates: Rows that the learned gate has seen at each layer, if there is one.
        """
        none = [0] * len(self.work)
        return tuple(
            [
                LayerWork(
                    active,
                    rows,
                    pairs,
                    0,
                    0,
                    head,
                    gate,
                    calls,
                    context,
                )
                for (active, rows, pairs, head, calls, context), gate in zip(
                    self.work.tolist(), gates or none, strict=True
                )
            ]
        )
