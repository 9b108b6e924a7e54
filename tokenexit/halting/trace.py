"""What a run cost: how many rows each layer really worked on."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class LayerWork:
    """Rows and pairs one layer worked on; adds up across batches and processes.

    Attributes:
        active: Rows that asked (queries, attention output, feed-forward).
        projected: Rows whose keys and values were projected.
        pairs: Query-key pairs through projected keys.
        absorbed: Queries that read unprojected states.
        absorbed_pairs: Their query-key pairs.
        head: Rows scored by the exit head.
        gate: Rows seen by the learned gate.
        calls: Times the layer ran at all.
    """

    active: int = 0
    projected: int = 0
    pairs: int = 0
    absorbed: int = 0
    absorbed_pairs: int = 0
    head: int = 0
    gate: int = 0
    calls: int = 0

    def __add__(self, other: LayerWork) -> LayerWork:
        return LayerWork(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        )


Work = tuple[LayerWork, ...]
"""One entry a layer, from the first."""


def add_work(first: Work, second: Work) -> Work:
    """Add two runs of one network, layer by layer."""
    return tuple(a + b for a, b in zip(first, second, strict=True))
