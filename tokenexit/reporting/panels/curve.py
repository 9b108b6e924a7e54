"""Pictures of quality against compute."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tokenexit.policies.in_words import policy_words
from tokenexit.reporting.charts import SHAPES, Key, Line, Point, axis, line_chart
from tokenexit.reporting.curve import Curve, curve_of
from tokenexit.reporting.curve_point import CurvePoint
from tokenexit.reporting.palette import FAMILIES_LIGHT
from tokenexit.reporting.panels.base import PANELS, Panel
from tokenexit.reporting.panels.picture import Picture
from tokenexit.reporting.run import RunData
from tokenexit.wording.naming import capital, fixed, metric_name, score

Compute = Callable[[CurvePoint], float | None]


@PANELS.register("curve")
class QualityAndCompute(Panel):
    """Two pictures: against multiply-accumulates, and against depth."""

    section = "curve"

    def draw(self, run: RunData) -> list[Picture]:
        """See ``Panel``."""
        curve = curve_of(run)
        return [] if curve is None else _pictures(curve)

    def keys(self, run: RunData) -> list[Key]:
        """See ``Panel``."""
        curve = curve_of(run)
        return [] if curve is None else _keys(curve)


def _keys(curve: Curve) -> list[Key]:
    families = (_family(name, points) for name, points in curve.families.items())
    keys = [Key(name, *_look(row)) for row, name in enumerate(families)]
    if curve.static:
        keys.append(
            Key(f"baseline: all {curve.unit}s stop at one layer", "static dashed", "square")
        )
    if curve.full:
        keys.append(Key("full depth", "full", "diamond", joined=False))
    if curve.chosen:
        keys.append(Key("this model's policy", "chosen", "star", joined=False))
    if curve.floor is not None:
        keys.append(Key(_floor_text(curve), "floor dotted"))
    if curve.oracle is not None:
        keys.append(Key(_oracle_text(curve.oracle), "oracle dashed"))
    return keys


def _family(name: str, points: Sequence[CurvePoint]) -> str:
    """All settings of one threshold in words, which is ``t``; the name where they say nothing."""
    told = policy_words(points[0].policy, threshold="t") if points else name
    return told if told != points[0].policy else name


def _floor_text(curve: Curve) -> str:
    return f"{100 * (curve.kept or 0):.4g}% of {curve.whole_name}, the target"


def _oracle_text(layer: float) -> str:
    return f"oracle, layer {fixed(layer, 2)}"


def curve_note(curve: Curve) -> str:
    """What the picture leaves out."""
    outside = curve.outside()
    if not outside:
        return ""
    points = "1 point lies" if outside == 1 else f"{outside} points lie"
    return f"{points} below the picture, which shows where the choice is made."


def _look(row: int) -> tuple[str, str]:
    """Colour and shape of a family; shapes move on when colours begin again."""
    count = len(FAMILIES_LIGHT)
    return f"k{row % count}", SHAPES[(row + row // count) % len(SHAPES)]


def _pictures(curve: Curve) -> list[Picture]:
    macs = "Multiply-accumulates, plain model = 1"
    return [
        _picture(curve, "macs", macs, lambda p: p.mac_ratio),
        _picture(curve, "depth", "Mean exit layer", lambda p: p.depth, curve.oracle),
    ]


def _picture(
    curve: Curve, ident: str, compute: str, of: Compute, oracle: float | None = None
) -> Picture:
    metric = metric_name(curve.metric)
    low, high = curve.shown()
    values = [value for p in curve.points if (value := of(p)) is not None and p.quality >= low]
    seen = [low, high] if curve.floor is None else [low, high, curve.floor]
    x = axis(compute, values if oracle is None else [*values, oracle])
    y = axis(capital(metric), [curve.scale * quality for quality in seen], pad=0.08)
    lines = [Line("baseline", _points(curve, curve.static, of), "static dashed", "square")]
    if curve.floor is not None:
        ends = [Point(end, curve.scale * curve.floor) for end in (x.low, x.high)]
        lines.append(Line(_floor_text(curve), ends, "floor dotted", marked=False))
    if oracle is not None:
        ends = [Point(oracle, end) for end in (y.low, y.high)]
        lines.append(Line(_oracle_text(oracle), ends, "oracle dashed", marked=False))
    for row, (name, points) in enumerate(curve.families.items()):
        css, shape = _look(row)
        lines.append(Line(name, _points(curve, points, of), css, shape))
    if curve.full:
        lines.append(Line("full depth", _points(curve, [curve.full], of, 5), "full", "diamond"))
    if curve.chosen:
        lines.append(Line("chosen", _points(curve, [curve.chosen], of, 6), "chosen", "star"))
    chart = line_chart(
        f"curve-{ident}",
        f"{metric} against {compute.lower()}",
        f"Each point is one setting of a policy, measured on the {curve.split} split.",
        x,
        y,
        lines,
    )
    return Picture(compute.split(",")[0], chart)


def _points(
    curve: Curve, points: Sequence[CurvePoint], of: Compute, size: float = 4
) -> list[Point]:
    found = []
    for p in points:
        value = of(p)
        if value is not None:
            quality = f"{metric_name(curve.metric)} {score(p.quality, curve.metric)}"
            cost = f"layer {fixed(p.depth, 2)} on average, {fixed(p.mac_ratio, 2)} of the MACs"
            tip = f"{_name(curve, p)}\n{quality}\n{cost}"
            found.append(Point(value, curve.scale * p.quality, tip, size))
    return found


def _name(curve: Curve, point: CurvePoint) -> str:
    if point.kind == "static":
        return f"all {curve.unit}s stop at layer {fixed(point.depth, 0)}"
    return policy_words(point.policy) if point.kind in ("engine", "chosen") else "full depth"
