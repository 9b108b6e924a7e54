"""One picture of many methods: all in grey, the best in colour with their names beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokenexit.evaluation.frontier import LOW
from tokenexit.reporting.charts import SHAPES, axis
from tokenexit.reporting.charts.frame import Frame
from tokenexit.reporting.charts.shapes import outline
from tokenexit.reporting.comparison import (
    FINE_TUNING,
    STATIC,
    frontier_of,
    means,
    measured,
    summaries,
)
from tokenexit.reporting.palette import FAMILIES_LIGHT
from tokenexit.reporting.render import render
from tokenexit.wording.naming import capital, metric_name

WIDTH, HEIGHT = 860, 480
NAMES = 170
"""Room for names on the right; more where they are long."""

LETTER = 8.0
"""Width of a letter of a name, at most on average."""

BEST = 5
"""Methods drawn in colour."""

WORTH = 0.85
"""Share of the best quality above which the named lines are shown whole."""

BUDGETS = ("chosen_1.5x", "chosen_2x", "chosen_3x")
"""Whoever is first in one of these columns is drawn in colour."""

SPACE = 17
"""Between two names."""

BESIDE = 26
"""Between the picture and the names."""

_BASELINE, _PLAIN = "#4a5360", "#18202c"


@dataclass(frozen=True)
class Drawn:
    """One method in the picture.

    Attributes:
        name: Of the method.
        points: ``(cost, quality)`` from the cheapest.
        colour: Of the line; empty for grey.
        dashed: Whether it is the baseline.
        shape: Of the marks; empty without.
    """

    name: str
    points: Sequence[tuple[float, float]]
    colour: str = ""
    dashed: bool = False
    shape: str = ""


def comparison_figure(runs: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The picture as SVG; None if nothing was measured.

    Args:
        runs: As ``comparison.json`` holds them.
    """
    lines = drawn_lines(runs)
    done = measured(runs)
    single = [
        run["calibrated"]["quality_full_depth"]
        for run in done.values()
        if run["method"] == FINE_TUNING
    ]
    if not lines:
        return None
    named = [line for line in lines if line.colour]
    right = max(1.0, *(cost for line in named for cost, _ in line.points))
    shown = [q for line in named for cost, q in line.points if cost >= LOW]
    # A grey line may lead out of the picture; of the named ones the useful part is seen.
    high = max([q for line in lines for _, q in line.points] + single)
    tops = [max(q for _, q in line.points) for line in named]
    low = min([*(q for q in shown if q >= WORTH * high), *tops, high])
    metric = metric_name(next(iter(done.values()))["calibrated"]["metric"])
    plot = WIDTH - NAMES
    longest = max(len(line.name) for line in named)
    frame = Frame(
        axis("Multiply-accumulates, plain model = 1", (), low=0.0, high=right),
        axis(capital(metric), [low, high], percent=metric == "accuracy"),
        width=plot + max(NAMES, round(BESIDE + LETTER * longest)),
        height=HEIGHT,
        right=plot,
        bottom=HEIGHT - 46,
    )
    mean = sum(single) / len(single) if single else None
    return render(
        "comparison.svg.j2",
        frame=frame,
        title=f"{capital(metric)} against multiply-accumulates, by method",
        lines=[_path(frame, line) for line in lines],
        names=_names(frame, named),
        single=None
        if mean is None
        else {
            "path": outline("diamond", frame.across(1.0), frame.up(mean), 5),
            "text": f"{FINE_TUNING} (fine-tuning alone)",
            "x": frame.across(1.0),
            "y": frame.up(mean),
        },
        plain=_PLAIN,
    )


def drawn_lines(runs: Mapping[str, Mapping[str, Any]]) -> list[Drawn]:
    """A line a method, grey ones first, so that the named ones lie above them."""
    grey, bright, static = [], [], []
    entries = [e for e in means(summaries(runs)) if e["method"] != FINE_TUNING]
    ranking = [entry["method"] for entry in entries]
    dynamic = _best([entry for entry in entries if entry["method"] != STATIC])
    for method in ranking:
        points = _mean_line([run for run in measured(runs).values() if run["method"] == method])
        if method == STATIC:
            static.append(Drawn(method, points, _BASELINE, dashed=True, shape="square"))
        elif method in dynamic:
            place = dynamic.index(method)
            bright.append(Drawn(method, points, FAMILIES_LIGHT[place], shape=SHAPES[place]))
        else:
            grey.append(Drawn(method, points))
    return [*grey, *static, *bright[::-1]]


def _best(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """The first of each budget, then those of the table's first column, in its order."""
    names = [entry["method"] for entry in entries]
    firsts = [
        max(known, key=lambda entry: entry[key][0])["method"]
        for key in BUDGETS
        if (known := [entry for entry in entries if entry.get(key)])
    ]
    chosen = list(dict.fromkeys([*firsts, *names]))[:BEST]
    return sorted(chosen, key=names.index)


def _mean_line(runs: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """The frontier, or the mean of those of several seeds where all reach."""
    found = [frontier_of(run) for run in runs]
    line = []
    for cost in sorted({cost for one in found for cost in one.costs}):
        values = [value for one in found if (value := one.at(cost)) is not None]
        if len(values) == len(found):
            line.append((cost, sum(values) / len(values)))
    return line


def _path(frame: Frame, line: Drawn) -> dict[str, Any]:
    places = [(frame.across(cost), frame.up(quality)) for cost, quality in line.points]
    inside = [
        place for place, point in zip(places, line.points, strict=True) if frame.holds(*point)
    ]
    return {
        "line": line,
        "path": "M" + "L".join(f"{x} {y}" for x, y in places),
        "marks": [outline(line.shape, x, y, 3.2) for x, y in inside] if line.shape else [],
    }


def _names(frame: Frame, lines: Sequence[Drawn]) -> list[dict[str, Any]]:
    """Names in a column beside the ends of their lines, moved apart where they would meet."""
    entries = [
        {
            "line": line,
            "x": frame.across(line.points[-1][0]),
            "y": frame.up(line.points[-1][1]),
        }
        for line in lines
    ]
    # Where lines end together the one that is higher half way is named higher.
    entries.sort(key=lambda entry: (entry["y"], -_middle(entry["line"])))
    place = frame.top + 4.0
    for entry in entries:
        entry["at"] = place = max(place, entry["y"])
        place += SPACE
    over = entries[-1]["at"] - frame.bottom if entries else 0.0
    for entry in entries:
        entry["at"] = round(entry["at"] - max(over, 0.0), 1)
        entry["column"] = frame.right + BESIDE
    return entries


def _middle(line: Drawn) -> float:
    return max((quality for cost, quality in line.points if cost <= 0.5), default=0.0)
