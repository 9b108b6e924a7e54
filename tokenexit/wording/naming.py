"""How numbers, metrics and policies are written."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from tokenexit.metrics import METRICS

NOTHING = "–"
FIGURE_NAMES = {
    "f1": "F1",
    "f1_strict": "strict F1",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "mse": "squared error",
}
"""Figures of tasks as a reader would write them; a metric knows its own."""


def metric_name(metric: str) -> str:
    """The metric as a reader would write it."""
    known = dict(METRICS.items()).get(metric)
    title = FIGURE_NAMES.get(metric) if known is None else known.title
    return title or metric.replace("_", " ")


def capital(text: str) -> str:
    """With a capital letter."""
    return text[:1].upper() + text[1:]


def scale(metric: str) -> int:
    """What a metric is multiplied by when it is written."""
    known = dict(METRICS.items()).get(metric)
    return 1 if known is None else known.scale


def score(value: float | None, metric: str, digits: int = 4) -> str:
    """A quality as a reader would write it; those from 0 to 100 have two digits less."""
    factor = scale(metric)
    if value is None or factor == 1:
        return fixed(value, digits)
    return fixed(factor * value, digits - 2)


def signed(value: float | None, digits: int = 2) -> str:
    """A difference, with its sign."""
    text = fixed(value, digits)
    if value is None or text == NOTHING:
        return text
    text = text.removeprefix("-")
    sign = "\N{MINUS SIGN}" if value < 0 else "+"
    return sign + text if float(text) else text


def fixed(value: float | None, digits: int = 3) -> str:
    """A number with a set number of decimals."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A share as a percentage."""
    return NOTHING if value is None or not math.isfinite(value) else f"{100 * value:.{digits}f}%"


def times(value: float | None) -> str:
    """A factor."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:.2f}×"


def milliseconds(value: float | None) -> str:
    """A time, with three digits that count."""
    if value is None or not math.isfinite(value):
        return NOTHING
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{digits}f}\N{NO-BREAK SPACE}ms"


def whole(value: int) -> str:
    """A count, in groups of three."""
    return f"{value:,}".replace(",", "\N{NO-BREAK SPACE}")


def counted(count: int, one: str, many: str = "") -> str:
    """A count with what is counted: ``1 text``, ``2 passes``.

    Args:
        count: How many.
        one: The name of one.
        many: That of several; with an s when empty.
    """
    return f"{count} {one if count == 1 else many or one + 's'}"


def of_texts(count: int, unit: str = "texts") -> str:
    """A count of texts, or of documents, in groups of three."""
    return f"{whole(count)} {unit.removesuffix('s') if count == 1 else unit}"


def policy_text(policy: Any) -> str:
    """A policy in one line: ``window(entropy(0.1), 3)``.

    Args:
        policy: Its plain data, as mapping or JSON text; anything else is shown as it is.
    """
    if isinstance(policy, str):
        try:
            policy = json.loads(policy)
        except ValueError:
            return policy
    if isinstance(policy, Mapping) and "name" in policy:
        inside = [policy_text(value) for key, value in policy.items() if key != "name"]
        name = str(policy["name"])
        return f"{name}({', '.join(inside)})" if inside else name
    if isinstance(policy, Mapping):
        return "{" + ", ".join(f"{k}: {policy_text(v)}" for k, v in policy.items()) + "}"
    if isinstance(policy, list | tuple):
        return "[" + ", ".join(policy_text(value) for value in policy) + "]"
    return f"{policy:.4g}" if isinstance(policy, float) else str(policy)
