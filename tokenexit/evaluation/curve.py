"""Quality against compute: the chosen family's whole curve, and the baselines beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tokenexit.data.tagged import TaggedSplit
from tokenexit.evaluation.evaluate import Result, evaluate
from tokenexit.files import write_csv
from tokenexit.models.encoders.labeller import Labeller
from tokenexit.policies import Policy
from tokenexit.policies.assigned_depth import AssignedDepth
from tokenexit.policies.base import POLICIES
from tokenexit.policies.never import Never


@dataclass(frozen=True)
class CurveRow:
    """One point of the curve; a row of ``pareto.csv``."""

    kind: str
    policy: str
    family: str
    value: float | None
    split: str
    quality: float
    relative_quality: float
    mean_exit_layer: float
    depth_speedup: float
    mac_ratio: float


Keep = Callable[[CurveRow, Any], None]
"""Takes each point with the trace that it comes from."""

MEASURED = [field.name for field in fields(CurveRow)][4:]
"""What a point has of a result as it is."""


def family_name(policy: Policy) -> str:
    """A readable name that all settings of one threshold share: ``window(entropy, 3)``."""
    return _described(policy.to_config())


def _described(value: Any) -> str:
    """A policy's plain data, or a part of it, without what a threshold changes."""
    if isinstance(value, Mapping) and "name" in value:
        spec = POLICIES.get(str(value["name"])).own_threshold
        hidden = ("name", "" if spec is None else spec.field)
        inner = [_described(v) for k, v in value.items() if k not in hidden and v not in ([], ())]
        return f"{value['name']}({', '.join(inner)})" if inner else str(value["name"])
    if not isinstance(value, list):
        return str(value)
    if all(isinstance(item, Mapping) for item in value):
        return "+".join(map(_described, value))
    pairs = [item for item in value if isinstance(item, list) and isinstance(item[-1], Mapping)]
    if len(pairs) == len(value):
        return "+".join(f"{key}: {_described(item)}" for key, item in pairs)
    return f"{len(value)} entries"


def point(kind: str, policy: Policy, value: float | None, result: Result) -> CurveRow:
    """A measured result as a point."""
    measured = {name: getattr(result, name) for name in MEASURED}
    return CurveRow(
        kind=kind, policy=policy.to_json(), family=family_name(policy), value=value, **measured
    )


def trace_curve(
    model: Labeller,
    split: TaggedSplit,
    name: str,
    policy: Policy,
    values: Sequence[float],
    *,
    batch_size: int = 32,
    on_unknown: str | None = "error",
    keep: Keep | None = None,
) -> list[CurveRow]:
    """Measure full depth, "stop everybody at layer k", and a policy at several settings.

    Args:
        model: The tagger.
        split: Labelled texts.
        name: Name of the split.
        policy: Whose threshold is turned; none is if it has none.
        values: Settings of the threshold.
        batch_size: Texts a batch.
        on_unknown: See ``evaluate``.
        keep: See ``measured_curve``.
    """
    full = evaluate(model, split, name, Never(), batch_size=batch_size, on_unknown=on_unknown)
    known: dict[str, Any] = {
        "full_depth": full[0].quality_full_depth,
        "batch_size": batch_size,
        "on_unknown": None,
    }

    def measure(policy: Policy) -> tuple[Result, Any]:
        return evaluate(model, split, name, policy, **known)

    return measured_curve(measure, full, model.settings.exit_layers, policy, values, keep)


def measured_curve(
    measure: Callable[[Policy], tuple[Result, Any]],
    full: tuple[Result, Any],
    exit_layers: Sequence[int],
    policy: Policy,
    values: Sequence[float],
    keep: Keep | None = None,
) -> list[CurveRow]:
    """The same with any way of measuring a policy.

    Args:
        measure: Runs one policy; gives the result and its trace.
        full: The same at full depth.
        exit_layers: Layers with an exit, the top included.
        policy: Whose threshold is turned.
        values: Settings of the threshold.
        keep: Takes each point as soon as it is measured.
    """
    points: list[CurveRow] = []

    def add(kind: str, policy: Policy, value: float | None, found: tuple[Result, Any]) -> None:
        points.append(point(kind, policy, value, found[0]))
        if keep is not None:
            keep(points[-1], found[1])

    add("full", Never(), None, full)
    for layer in exit_layers[:-1]:
        add("static", fixed := AssignedDepth(layer), layer, measure(fixed))
    for value in values if policy.threshold_spec() is not None else ():
        add("engine", setting := policy.with_threshold(value), value, measure(setting))
    return points


def save_curve(points: Sequence[CurveRow], path: Path) -> None:
    """Write ``pareto.csv``."""
    write_csv(path, list(asdict(points[0])), (asdict(p) for p in points))
