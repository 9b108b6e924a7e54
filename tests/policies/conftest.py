"""Traces for policies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from tokenexit.testing.traces import Trace
from tokenexit.testing.traces import make_trace as made


@pytest.fixture(scope="session")
def make_trace() -> Callable[..., Trace]:
    """Factory of random traces."""
    return made


@pytest.fixture(scope="session")
def trace_of() -> Callable[..., Trace]:
    """Factory of a trace written by hand: logits ``[L][N][C]``, all rows in one sequence."""

    def make(logits: Any, **changes: Any) -> Trace:
        values = torch.as_tensor(logits)
        layers, rows, _ = values.shape
        trace = Trace(
            logits=values,
            gate=torch.full((layers, rows), 0.5),
            sequence=torch.zeros(rows, dtype=torch.long),
            position=torch.arange(rows),
            item_id=torch.arange(rows),
            target=torch.full((rows,), -100),
        )
        return replace(trace, **changes)

    return make
