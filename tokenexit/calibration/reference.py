"""What a calibration holds a model to: float32 at full depth, whatever precision will run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tokenexit.precision import precision_of as of_dtype

FULL = "fp32"


def is_told(model: Any) -> bool:
    """Whether a model was told a precision, be it that of its weights."""
    return any(one._inference.precision is not None for one in _networks(model))


def is_reduced(model: Any) -> bool:
    """Whether a model was told to compute in another precision than its weights are in."""
    return any(one.precision != of_dtype(one.dtype) for one in _networks(model))


@contextmanager
def in_full_precision(model: Any) -> Iterator[None]:
    """Let a model compute with its weights as they are inside, and as before afterwards.

    Raises:
        UserError: It has given up its float32 weights.
    """
    told = [(one, one.precision) for one in _networks(model) if is_reduced(one)]
    try:
        for one, _ in told:
            one.use(precision=of_dtype(one.dtype))
        yield
    finally:
        for one, precision in told:
            one.use(precision=precision)


def _networks(model: Any) -> list[Any]:
    """The models of a cascade, or the model itself."""
    return list(getattr(model, "stages", None) or [model])
