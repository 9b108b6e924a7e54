"""What quality is held to: full depth as the weights are, whatever precision will run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tokenexit.evaluation.processes import is_main
from tokenexit.policies import Policy
from tokenexit.policies.never import Never
from tokenexit.precision import precision_of as of_dtype

T = TypeVar("T")

logger = logging.getLogger(__name__)


def is_told(model: Any) -> bool:
    """Whether a model was told a precision, be it that of its weights."""
    return any(one._inference.precision is not None for one in _networks(model))


def is_reduced(model: Any) -> bool:
    """Whether a model was told to compute in another precision than its weights are in."""
    return any(one.precision != of_dtype(one.dtype) for one in _networks(model))


def reference_precision(model: Any) -> str:
    """In which precision full depth is what a model is held to: that of its weights.

    Where those were let go, the one that is left.
    """
    if _freed(model):
        return model.precision
    names = [of_dtype(one.dtype) for one in _networks(model)]
    return "+".join(dict.fromkeys(names))


@contextmanager
def in_full_precision(model: Any) -> Iterator[None]:
    """Let a model compute with its weights as they are inside, and as before afterwards.

    Raises:
        UserError: It has given up its float32 weights.
    """
    before = [(one, one._inference) for one in _networks(model) if is_reduced(one)]
    try:
        for one, _ in before:
            one.use(precision=of_dtype(one.dtype))
        yield
    finally:
        for one, inference in before:
            one._inference = inference  # with its copies, which are not made again


@contextmanager
def as_reference(model: Any) -> Iterator[None]:
    """As ``in_full_precision``, or as it is where its float32 weights were let go: says so."""
    if not _freed(model):
        with in_full_precision(model):
            yield
        return
    if is_main():
        logger.warning(
            "The float32 weights were let go, so quality is held to full depth in %s.",
            model.precision,
        )
    yield


def at_full_depth(model: Any, run: T, policy: Policy, again: Callable[[], T]) -> T:
    """The run that a run is held to: itself, where nobody left early in the weights' precision.

    Args:
        model: What ran.
        run: With exits.
        policy: Who halted there.
        again: Runs the same without exits.
    """
    if policy == Never() and not is_reduced(model):
        return run
    with as_reference(model):
        return again()


def _freed(model: Any) -> bool:
    return any(one._inference.freed for one in _networks(model))


def _networks(model: Any) -> list[Any]:
    """The models of a cascade, or the model itself."""
    return list(getattr(model, "stages", None) or [model])
