"""Recorded results as a table, and what may be said of them; see ``record_results.py``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

HEADER = (
    "corpus (test)", "metric", "single head", "full depth", "with exits", "of full depth",
    "of single head", "layers saved", "multiply-adds", "one layer for all, as good from",
)  # fmt: skip
HARDLY = 0.9
"""Share of the arithmetic of the best fixed layer above which exits hardly help."""

EDGE = 1e-9


@dataclass(frozen=True)
class Fixed:
    """Everybody stopped at one layer, means over seeds.

    Attributes:
        layer: Which; 0 for the top.
        quality: Of the test split.
        cost: Multiply-adds over those of the plain model.
    """

    layer: int
    quality: float
    cost: float

    @property
    def name(self) -> str:
        """As the table says it."""
        return f"layer {self.layer}" if self.layer else "full depth"


def runs_of(recorded: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Runs of a file, one a seed; older files hold one."""
    return list(recorded["runs"].values()) if "runs" in recorded else [recorded]


def by_hand(recorded: Mapping[str, Any]) -> bool:
    """Whether a policy was given, not chosen on the validation split: no row of the table."""
    return any(run["calibration"] is None for run in runs_of(recorded))


def fixed_layers(recorded: Mapping[str, Any]) -> list[Fixed]:
    """What stopping everybody at one layer gives on the test split, the top last."""
    runs = runs_of(recorded)
    found = []
    for rows in zip(*(run["static"] for run in runs), strict=True):
        quality, cost = (mean(row[key] for row in rows) for key in ("quality", "mac_ratio"))
        found.append(Fixed(rows[0]["layer"], quality, cost))
    tops = [next(point for point in run["curve"] if point["kind"] == "full") for run in runs]
    quality, cost = (mean(float(top[key]) for top in tops) for key in ("quality", "mac_ratio"))
    return [*found, Fixed(0, quality, cost)]


def as_good(recorded: Mapping[str, Any], slack: float = 0.0) -> Fixed | None:
    """The cheapest fixed layer as good as the exits; None where even the top is not.

    Args:
        recorded: A file.
        slack: Quality it may lack.
    """
    quality = mean(run["splits"]["test"]["quality"] for run in runs_of(recorded))
    enough = [one for one in fixed_layers(recorded) if one.quality >= quality - slack - EDGE]
    return min(enough, key=lambda one: one.cost, default=None)


def results_table(files: Mapping[str, Mapping[str, Any]]) -> str:
    """Recorded files by name as Markdown, and below what the table alone does not say."""
    shown = {name: one for name, one in files.items() if not by_hand(one)}
    lines = [f"| {' | '.join(HEADER)} |", "|---" * len(HEADER) + "|"]
    lines += [f"| {' | '.join(_cells(name, one))} |" for name, one in shown.items()]
    notes = [note for name, one in shown.items() for note in verdicts(name, one)]
    notes += [
        f"- `{name}` is no row: its policy was given by hand, not chosen on the validation split."
        for name, one in files.items()
        if by_hand(one)
    ]
    return "\n".join([*lines, "", *notes] if notes else lines)


def verdicts(name: str, recorded: Mapping[str, Any]) -> Iterator[str]:
    """Where exits do not help, and where a single head had another schedule."""
    runs = runs_of(recorded)
    quality, cost = (
        mean(run["splits"]["test"][key] for run in runs) for key in ("quality", "mac_ratio")
    )
    best = as_good(recorded)
    if best is not None and cost >= HARDLY * best.cost:
        told = "exits hardly help, they save less than a tenth of the arithmetic"
        if best.layer:
            told = f"exits do not help, stopping everybody at {best.name} is as good"
        yield (
            f"- `{name}`: {told} ({100 * best.quality:.1f} at {best.cost:.2f} against "
            f"{100 * quality:.1f} at {cost:.2f} with exits)."
        )
    if unequal := recorded.get("single_unequal"):
        yield f"- `{name}`: no single head of equal training ({unequal})."


def _cells(name: str, recorded: Mapping[str, Any]) -> list[str]:
    runs = runs_of(recorded)
    tests = [run["splits"]["test"] for run in runs]
    singles = [run["single"]["test"]["quality"] for run in runs if "single" in run]
    if len(singles) < len(runs) or "single_unequal" in recorded:
        singles = []  # a row is of equal training, on every seed
    best = as_good(recorded)
    return [
        name,
        tests[0]["metric"],
        _points(singles),
        _points([row["quality_full_depth"] for row in tests]),
        _points([row["quality"] for row in tests]),
        _kept(tests, [row["quality_full_depth"] for row in tests]) + _of_full(tests),
        (_kept(tests, singles) + _of_single(runs)) if singles else "",
        f"{mean(row['depth_speedup'] for row in tests):.2f}x",
        f"{mean(row['mac_ratio'] for row in tests):.2f}",
        "none" if best is None else f"{best.name}, {best.cost:.2f}",
    ]


def _points(values: Sequence[float]) -> str:
    """Mean in points of 100, with the standard deviation over seeds."""
    if not values:
        return ""
    spread = f" ± {100 * stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * mean(values):.1f}{spread}"


def _kept(tests: Sequence[Mapping[str, Any]], whole: Sequence[float]) -> str:
    shares = [row["quality"] / one for row, one in zip(tests, whole, strict=True)]
    return f"{_points(shares)} %"


def _of_full(tests: Sequence[Mapping[str, Any]]) -> str:
    """The interval that a run alone was measured with; several have their spread."""
    figures = tests[0]["figures"]
    if len(tests) > 1 or "kept_low" not in figures:
        return ""
    return f" ({100 * figures['kept_low']:.1f} to {100 * figures['kept_high']:.1f})"


def _of_single(runs: Sequence[Mapping[str, Any]]) -> str:
    against = runs[0].get("against_single")
    if len(runs) > 1 or against is None:
        return ""
    return f" ({100 * against['kept_low']:.1f} to {100 * against['kept_high']:.1f})"
