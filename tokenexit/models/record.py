"""Plain data of a folder as a typed value: the one place where its types are checked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from tokenexit.errors import UserError

T = TypeVar("T")

_MOST = 3
"""Mistakes that one message names."""


class _Told(BaseModel):
    """Figures that cards show; others may stand beside them."""

    model_config = ConfigDict(strict=True, extra="ignore")


class _Result(_Told):
    metric: str
    quality: float | None = None
    mean_exit_layer: float | None = None
    num_layers: int
    quality_full_depth: float | None = None
    relative_quality: float | None = None
    depth_speedup: float | None = None
    mac_ratio: float | None = None
    figures: dict[str, Any] | None = None
    notes: dict[str, str] | None = None
    precision: str | None = None
    full_depth_precision: str | None = None


class _Target(_Told):
    min_quality: float | None = None
    speedup: float | None = None
    risk: float | None = None
    risk_of: str | None = None
    latency: float | None = None


class _Calibration(_Told):
    target: _Target | None = None
    split: str | None = None
    reached: bool | None = None
    precision: str | None = None
    minimise: str | None = None
    full_depth_kept: float | None = None
    timing: dict[str, Any] | None = None
    certificate: dict[str, Any] | None = None


class _Training(_Told):
    model: str | dict[str, Any] | None = None
    data: str | dict[str, Any] | None = None


def check_version(data: Mapping[str, Any], newest: int, origin: str) -> None:
    """Refuse a file of a format that is not known.

    Raises:
        UserError: Names the version and what to do.
    """
    version = data.get("format_version")
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version <= newest:
        raise UserError(
            f"{origin} has format version {version!r}; this version of tokenexit reads up to "
            f"{newest}. Upgrade tokenexit to load the model, or copy the folder again."
        )


def checked(kind: type[T], data: Any, origin: str) -> T:
    """Read plain data as a dataclass or another type; entries it does not know are passed over.

    Args:
        kind: The type, with a hint for every field.
        data: As parsed from JSON.
        origin: Where it came from, for messages.

    Raises:
        UserError: Names entries of the wrong type and what they should be.
    """
    try:
        # As JSON, where a list may be a tuple and a whole number a fraction, and nothing else.
        return _adapter(kind).validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        mistakes = [
            f"{'.'.join(map(str, one['loc']))} ({_short(one['input'])}): {one['msg']}"
            for one in error.errors()
        ]
        more = f"; and {len(mistakes) - _MOST} more" if len(mistakes) > _MOST else ""
        raise UserError(
            f"{origin} is damaged: {'; '.join(mistakes[:_MOST])}{more}. Copy the folder again."
        ) from error


def check_told(training: Any, calibration: Any, results: Any) -> None:
    """Check what cards tell of a model.

    Raises:
        UserError: As ``checked``.
    """
    checked(_Training | None, training, "training")  # type: ignore[arg-type]
    checked(_Calibration | None, calibration, "calibration")  # type: ignore[arg-type]
    checked(dict[str, _Result] | None, results, "results")  # type: ignore[arg-type]


@contextmanager
def named(origin: str) -> Iterator[None]:
    """Put the name of a file before a mistake in it."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{origin}: {error}") from error


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
