"""The table of what a GPU should reach, as plain data: its rows, and one case for each number.

A case is a process: whoever is compared takes turns there, so that ratios are of like moments, and
a capture that fails poisons nobody else's process.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class DeviceCase:
    """One measurement.

    Attributes:
        row: Key of the table's row.
        shape: Which network, see ``shapes``.
        batch: Texts a batch.
        base: What is compared with; None for a figure by itself.
        ours: What is measured.
        wanted: What should be reached, in the row's unit; None where nothing is asked.
        small: Tiny shapes and few repeats.
    """

    row: str
    shape: str
    batch: int
    base: str | None
    ours: str
    wanted: float | None = None
    small: bool = False

    @property
    def name(self) -> str:
        """What tells it from the others."""
        over = "" if self.base is None else f" over {self.base}"
        return f"{self.shape}, batch {self.batch}: {self.ours}{over}"


@dataclass(frozen=True)
class TableRow:
    """One line of the table.

    Attributes:
        title: What is measured.
        unit: ``ratio`` (of times, more is better), ``busy`` (share), ``ms`` a batch or
            ``tokens`` a second.
    """

    title: str
    unit: str = "ratio"


ROWS = {
    "never": TableRow("BERT-base, never halting, over plain"),
    "exits": TableRow("BERT-base, exits at 35 % of depth, over plain"),
    "exits_compiled": TableRow("the same, over plain compiled (`reduce-overhead`)"),
    "third": TableRow("T5-base, exits at L/3, over `generate`"),
    "third_compiled": TableRow("the same, over `generate` with static cache and compile"),
    "own_depth": TableRow("T5-base, each row at its own depth, mean L/3, over our full depth"),
    "by_depth": TableRow("the same, rows waiting for others of their depth"),
    "training": TableRow("training step, BERT-base: GPU busy", "busy"),
    "tokens_full": TableRow("BART-large, full depth, tokens a second", "tokens"),
    "tokens_third": TableRow("BART-large, exits at L/3, tokens a second", "tokens"),
    "ten": TableRow("BERT-base, batch of 10, exits at 35 %, ms", "ms"),
}

SMALL = {1: 1, 32: 3, 128: 5, 10: 2}
"""What stands for a batch size with ``--small``."""


def device_cases(small: bool = False) -> Iterator[DeviceCase]:
    """All of them, in the order in which they are run."""

    def made(row: str, shape: str, base: str | None, ours: str, wanted: dict[int, float | None]):
        for batch, most in wanted.items():
            yield DeviceCase(row, shape, batch, base, ours, most, small)

    yield from made("exits", "bert-base", "plain", "exits", {32: 3.0, 1: 4.0, 128: 3.0})
    yield from made("third", "t5-base", "generate", "third", {32: 15.0, 1: 25.0, 128: 10.0})
    yield from made("never", "bert-base", "plain", "never", {32: 1.0, 1: 1.0, 128: 1.0})
    yield from made("own_depth", "t5-base", "never", "own depth", {32: 1.1, 1: 1.2, 128: 1.3})
    yield from made("training", "bert-base", None, "training", {32: 0.85})
    yield from made("tokens_third", "bart-large", None, "third", {32: 13_000.0, 128: 28_000.0})
    yield from made("tokens_full", "bart-large", None, "never", {32: 8_500.0, 128: 18_000.0})
    yield from made("ten", "bert-base", None, "exits", {10: 2.6})
    yield from made("exits_compiled", "bert-base", "compiled", "exits", {32: 1.5, 1: 0.9, 128: 2.0})
    yield from made(
        "third_compiled", "t5-base", "static cache", "third", {32: 3.0, 1: 5.0, 128: 2.0}
    )
    yield from made("by_depth", "t5-base", "never", "by depth", {32: 1.1, 1: 1.2, 128: 1.3})
