"""Which runtime ``auto`` takes for encoders: a table that measurements set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

MEASURED: Mapping[str, Sequence[tuple[int, str]]] = {
    "cpu": [(1, "eager")],  # where nothing is captured
    "cuda": [(1, "eager")],  # not timed yet: see benchmarks/run.py --device cuda
}
"""By kind of device: from so many texts a batch on, which runtime is quicker."""


def usual(
    device: str, batch_size: int, measured: Mapping[str, Sequence[tuple[int, str]]] = MEASURED
) -> str:
    """The runtime that is quicker as far as is known; ``eager`` where nothing is.

    Args:
        device: Kind of device.
        batch_size: Texts a batch.
        measured: As ``MEASURED``, smaller batches first.
    """
    chosen = "eager"
    for least, runtime in measured.get(device, ()):
        if batch_size >= least:
            chosen = runtime
    return chosen
