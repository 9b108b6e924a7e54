"""Quality and cost of one split, as evaluation saved them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from tokenexit.errors import UserError
from tokenexit.reporting.account import Account, account_of
from tokenexit.reporting.files import AGAIN, counts, number
from tokenexit.tasks import Unit, unit_of
from tokenexit.wording.held_to import full_depth, within
from tokenexit.wording.naming import METRIC_NAMES, TEXT_METRICS

DEEPEST = 100_000
"""Layers that no network has."""

REQUIRED = ("split", "metric", "quality", "mean_exit_layer", "num_layers", "exit_histogram")


@dataclass(frozen=True)
class Result:
    """One evaluation.

    Attributes:
        split: Which split it was.
        metric: Which number stands for quality.
        quality: That number, with early exit.
        mean_exit_layer: Average depth of a row.
        num_layers: Depth of the network.
        histogram: Rows that left at each layer, from the first.
        full: Quality when every row goes through all layers.
        relative: Share of it that is kept.
        speedup: Layers saved, as a factor.
        mac_ratio: Multiply-accumulates over the plain model's, heads included.
        rows: Rows (words, or tokens of generated texts).
        sentences: Texts.
        task: ``ner``, ``pos``, ...
        unit: What leaves at an exit: ``word``, ``text`` or ``token``.
        policy: Who halted, as plain data.
        figures: Further metrics.
        notes: What has to be said with them.
        lower: Whether a lower quality is the better one.
        within: In which precision it was measured, where full depth was in another: `` in int8``.
        full_name: Full depth, then with its precision: ``full depth in fp32``.
        oracle: What an oracle would do, and who pays; None where it was not asked for.
    """

    split: str
    metric: str
    quality: float
    mean_exit_layer: float
    num_layers: int
    histogram: tuple[int, ...]
    full: float | None = None
    relative: float | None = None
    speedup: float | None = None
    mac_ratio: float | None = None
    rows: int = 0
    sentences: int = 0
    task: str = ""
    unit: str = "word"
    policy: Any = None
    figures: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    lower: bool = False
    within: str = ""
    full_name: str = "full depth"
    oracle: Account | None = None

    @property
    def generates(self) -> bool:
        """Whether texts were generated, rather than words labelled."""
        return self.unit == "token"

    @classmethod
    def from_json(cls, data: Mapping[str, Any], origin: str = "The result") -> Result:
        """Read plain data; ratios that were not saved are worked out.

        Args:
            data: One result, as ``tokenexit evaluate --json`` writes it.
            origin: Where it came from, for messages.

        Raises:
            UserError: Missing or senseless entries.
        """
        if not isinstance(data, Mapping):
            raise UserError(f"{origin} should be an object, not {data!r}.")
        missing = [name for name in REQUIRED if data.get(name) is None]
        if missing:
            raise UserError(f"{origin} lacks {', '.join(missing)}. Evaluate the model again.")
        quality, depth = number(data, "quality", origin), number(data, "mean_exit_layer", origin)
        layers, full = (
            number(data, "num_layers", origin),
            number(data, "quality_full_depth", origin),
        )
        quality, depth, layers = quality or 0.0, depth or 0.0, layers or 0.0
        relative = number(data, "relative_quality", origin)
        speedup = number(data, "depth_speedup", origin)
        lower = data.get("lower_is_better") is True
        if full == 0 and not lower:
            relative = None  # there was nothing to keep
        elif relative is None and full and not lower:
            relative = quality / full
        elif relative is None and full is not None and quality:
            relative = full / quality
        if speedup is None and depth:
            speedup = layers / depth
        rows, sentences = number(data, "n_rows", origin), number(data, "n_sentences", origin)
        told = (quality, depth, layers, rows or 0.0, sentences or 0.0)
        if not all(math.isfinite(value) for value in told) or not 0 <= layers <= DEEPEST:
            raise UserError(f"{origin}: its figures are no sensible numbers. {AGAIN}")
        for name in ("figures", "notes"):
            if not isinstance(data.get(name) or {}, Mapping):
                raise UserError(f"{origin}: {name} should be an object. {AGAIN}")
        return cls(
            split=str(data["split"]),
            metric=str(data["metric"]),
            quality=quality,
            mean_exit_layer=depth,
            num_layers=int(layers),
            histogram=counts(data["exit_histogram"], f"{origin}: exit_histogram"),
            full=full,
            relative=relative,
            speedup=speedup,
            mac_ratio=number(data, "mac_ratio", origin),
            rows=int(rows or 0),
            sentences=int(sentences or 0),
            task=str(data.get("task") or ""),
            unit=_unit(data),
            policy=data.get("policy"),
            figures=data.get("figures") or {},
            notes=data.get("notes") or {},
            lower=lower,
            within=within(data),
            full_name=full_depth(data),
            oracle=account_of(data.get("oracle"), origin),
        )


def _unit(data: Mapping[str, Any]) -> str:
    """What leaves at an exit, as saved; told from task and metric where it was not."""
    if data.get("unit") in get_args(Unit):
        return str(data["unit"])
    metric = data["metric"]
    own = metric not in METRIC_NAMES and "agreement_exact" in (data.get("figures") or {})
    return unit_of(str(data.get("task") or ""), metric in TEXT_METRICS or own)
