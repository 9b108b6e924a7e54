"""Figures for papers, drawn with matplotlib."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from tokenexit.errors import UserError, unknown_name
from tokenexit.extras import require_libraries
from tokenexit.files import replacing
from tokenexit.reporting import palette
from tokenexit.reporting.curve import Curve, curve_of
from tokenexit.reporting.curve_point import CurvePoint
from tokenexit.reporting.panels.histogram import histogram_of
from tokenexit.reporting.panels.reliability import lowest
from tokenexit.reporting.reliability import Reliability, reliability
from tokenexit.reporting.run import PARETO, TRACE, load_run
from tokenexit.wording.naming import capital, metric_name

FORMATS = ("pdf", "png", "svg")
MARKERS = "os^DvP"
STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "grid.linewidth": 0.4,
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "legend.fontsize": 7,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    # Text stays text, which journals ask for.
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "tokenexit",
}


def save_figures(run: str | Path, format: str = "pdf") -> list[Path]:
    """Write the curve, the exit histogram and the reliability plot into ``RUN/figures``.

    Args:
        run: The run folder; what its files do not tell is left out.
        format: ``pdf``, ``png`` or ``svg``.

    Returns:
        The files.

    Raises:
        UserError: matplotlib is not installed, no run folder, unknown format, nothing to draw.
    """
    if format not in FORMATS:
        raise unknown_name("figure format", format, FORMATS)
    require_libraries("matplotlib", instead="open the HTML report, which does without it")
    import matplotlib as mpl
    from matplotlib.figure import Figure

    data = load_run(run)
    curve, counts = curve_of(data), histogram_of(data)
    measured = reliability(data.words) if data.words is not None else []
    wanted: dict[str, Any] = {"curve": curve, "exits": counts, "reliability": measured}
    exits = partial(_exits, unit=data.unit)
    draw = {"curve": _curve, "exits": exits, "reliability": _reliability}
    if not any(wanted.values()):
        raise UserError(f"{data.folder} has no metrics.json, {PARETO} or {TRACE} to draw from.")
    folder = data.folder / "figures"
    written = []
    with mpl.rc_context(STYLE):
        for name, values in wanted.items():
            if values:
                width = 2.6 if name == "reliability" else 3.4
                figure = Figure(figsize=(width, 2.6), layout="constrained")
                draw[name](figure.subplots(), values)
                path = folder / f"{name}.{format}"
                # No date, so that the same run gives the same file.
                dates = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
                with replacing(path) as fresh:
                    figure.savefig(fresh, dpi=300, format=format, metadata=dates.get(format))
                written.append(path)
    return written


def _curve(axes: Any, curve: Curve) -> None:
    def draw(points: list[CurvePoint], *style: Any, **options: Any) -> None:
        shown = [(p.mac_ratio, curve.scale * p.quality) for p in points if p.mac_ratio is not None]
        if shown:
            axes.plot(*zip(*shown, strict=True), *style, **options)

    draw(curve.static, "s--", color="#888888", label="static exit", markersize=3)
    for row, (name, points) in enumerate(curve.families.items()):
        colour = palette.FAMILIES_LIGHT[row % len(palette.FAMILIES_LIGHT)]
        draw(points, f"{MARKERS[row % len(MARKERS)]}-", color=colour, label=name)
    if curve.full:
        draw([curve.full], "D", color="black", label="full depth", zorder=4)
    if curve.chosen:
        draw([curve.chosen], "*", color="#d4006a", markersize=9, label="chosen", zorder=5)
    if curve.floor is not None:
        axes.axhline(
            curve.scale * curve.floor, color="#00755c", linestyle=":", linewidth=1, label="target"
        )
    low, high = curve.shown()
    margin = 0.08 * (high - low) or 0.02
    low = min(low, curve.floor or low)
    axes.set_ylim(curve.scale * (low - margin), curve.scale * (high + margin))
    axes.set_xlabel("Multiply-accumulates (plain model = 1)")
    axes.set_ylabel(capital(metric_name(curve.metric)))
    axes.grid(True)
    # Above the plot, where it hides no point.
    axes.figure.legend(loc="outside upper center", ncols=3, columnspacing=1.2, handlelength=1.8)


def _exits(axes: Any, counts: list[int], unit: str) -> None:
    total = max(sum(counts), 1)
    layers = list(range(1, len(counts) + 1))
    colours = palette.ramp(palette.LINE_LIGHT, len(layers))
    axes.bar(layers, [100 * count / total for count in counts], color=colours, width=0.75)
    step = -(-len(layers) // 12)
    axes.set_xticks(layers[::step])
    axes.set_xlabel("Exit layer")
    axes.set_ylabel(f"{capital(unit)}s (%)")
    axes.grid(True, axis="y")


def _reliability(axes: Any, measured: list[Reliability]) -> None:
    pooled = measured[0]
    low = lowest([pooled])
    axes.plot([low, 1], [low, 1], "--", color="#888888", linewidth=0.8)
    confidence = [b.confidence for b in pooled.solid()]
    accuracy = [b.accuracy for b in pooled.solid()]
    colour = palette.FAMILIES_LIGHT[0]
    axes.plot(confidence, accuracy, "o-", color=colour, label=f"all exits, ECE {pooled.ece:.3f}")
    axes.set_xlim(low, 1.01)
    axes.set_ylim(low, 1.02)
    axes.set_aspect("equal")
    axes.set_xlabel("Confidence at the exit")
    axes.set_ylabel("Accuracy")
    axes.grid(True)
    axes.legend(loc="upper left")
