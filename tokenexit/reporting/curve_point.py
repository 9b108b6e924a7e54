"""Points of the quality-against-compute plane, as evaluation saved them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tokenexit.reporting.files import number, read_csv


@dataclass(frozen=True)
class CurvePoint:
    """One setting on the quality-against-compute plane.

    Attributes:
        kind: ``engine``, ``static`` or ``full``.
        family: The policy without its threshold.
        policy: The policy, or the layer, in words.
        quality: Quality reached.
        depth: Mean exit layer.
        mac_ratio: Multiply-accumulates over the plain model's.
        split: Where it was measured.
    """

    kind: str
    family: str
    policy: str
    quality: float
    depth: float | None
    mac_ratio: float | None
    split: str = "test"


def read_curve_points(path: Path) -> list[CurvePoint] | None:
    """The points of a ``pareto.csv``.

    Raises:
        UserError: The file is damaged.
    """
    rows = read_csv(path, ("kind", "family", "quality", "mean_exit_layer", "mac_ratio"))
    if rows is None:
        return None
    points = []
    for line, row in enumerate(rows, start=2):
        origin = f"{path}, line {line}"
        quality = number(row, "quality", origin)
        if quality is not None:
            points.append(
                CurvePoint(
                    kind=row["kind"],
                    family=row["family"],
                    policy=row.get("policy", ""),
                    quality=quality,
                    depth=number(row, "mean_exit_layer", origin),
                    mac_ratio=number(row, "mac_ratio", origin),
                    split=row.get("split") or "test",
                )
            )
    return points
