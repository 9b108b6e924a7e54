"""Files of a comparison of methods: a table to read, tables to compute with, the figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenexit.evaluation.frontier import HIGH, LOW
from tokenexit.files import write_csv, write_text
from tokenexit.methods import UNITS
from tokenexit.reporting.comparison import CHOSEN, KEPT, means, measured, suggested, summaries
from tokenexit.reporting.comparison_figure import comparison_figure
from tokenexit.reporting.comparison_lead import lead
from tokenexit.units import UNIT_OF
from tokenexit.wording.naming import NOTHING, counted, metric_name

TABLE, FIGURE = "README.md", "comparison.svg"
_FIRST = ("name", "method", "seed", "paper")
_POINT = (
    "kind", "policy", "value", "split", "quality", "relative_quality", "mean_exit_layer",
    "depth_speedup", "mac_ratio",
)  # fmt: skip
_HEADER = (
    "Method", "Paper", "2×", "1.5×", "3×", "Full depth", "± single", "Calibrated", "Of single",
    "Layers", "Overhead", "Clock", "AUC", "ELUE", "99% kept at",
)  # fmt: skip
_LEFT = 2
"""Columns that hold text."""

_LEGEND = f"""\
Quality is in points of 100. *2×, 1.5×, 3×*: quality on the test split of the setting that was
chosen on the validation split: the best there of those that spend so many times fewer
multiply-accumulates, heads and policy included; {NOTHING} where none saves so much. The table is
sorted by the first, then by AUC. *Full depth*: without leaving early. *± single*: that against
fine-tuning without exits. *Calibrated*: quality of the policy that was set on the validation split
to keep what was asked; *Of single*: that over the quality of fine-tuning without exits; *Layers*:
layers that it saves. *Overhead*: multiply-accumulates of asking at every exit when nobody leaves.
*Clock*: time of the plain transformers model over that of the calibrated policy, with the 10th and
90th percentile of the passes. What follows reads the curve on the test split itself, and is an
upper bound: *AUC*, mean quality of the frontier over budgets from {LOW:g} to {HIGH:g} of the plain
model's multiply-accumulates; below the cheapest setting it falls in a straight line to the
commonest class at no cost. *ELUE*: mean gain over the first layers alone at equal
multiply-accumulates (Liu et al. 2022, with this comparison's own baseline). *99% kept at*: most
layers saved by a setting that keeps 99% of the full-depth quality: of its own, or where it cuts
layers off beforehand, of fine-tuning's; of a cascade, whose depth is no number of layers,
multiply-accumulates saved.
"""


def write_comparison(folder: Path, content: Mapping[str, Any]) -> Path:
    """Write ``comparison.csv``, ``curves.csv``, ``comparison.svg`` and ``README.md``.

    Args:
        folder: Where to.
        content: What ``comparison.json`` holds.

    Returns:
        The table.
    """
    runs = content["runs"]
    rows = summaries(runs)
    _write_csv(folder / "comparison.csv", rows, _FIRST)
    curves = [
        {"method": run["method"], "seed": run["seed"], **{key: point[key] for key in _POINT}}
        for run in measured(runs).values()
        for point in run["points"]
    ]
    _write_csv(folder / "curves.csv", curves, ("method", "seed", *_POINT))
    figure = comparison_figure(runs)
    if figure is not None:
        write_text(folder / FIGURE, figure)
    path = folder / TABLE
    write_text(path, _readme(content, rows, figure is not None))
    return path


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]], first: tuple[str, ...]) -> None:
    keys = {key: None for row in rows for key in row if key != "error"}
    names = list(dict.fromkeys([*first, *keys, "error"] if first == _FIRST else first))
    write_csv(path, names, rows)


def _readme(content: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], has_figure: bool) -> str:
    done = measured(content["runs"])
    parts = ["# Methods under one protocol\n"]
    told = content.get("command", "")
    commands = dict.fromkeys(run.get("command", told) for run in content["runs"].values())
    if shown := "\n".join(filter(None, commands)):
        parts.append(f"```\n{shown}\n```\n")
    parts.append(_protocol(content, rows))
    parts.append(table(rows))
    parts += filter(None, (_fewer_seeds(rows), _suggestion(rows), _lead(rows)))
    parts.append(_LEGEND)
    if has_figure:
        metric = metric_name(next(iter(done.values()))["calibrated"]["metric"])
        parts.append(f"![{metric} against multiply-accumulates]({FIGURE})\n")
    failed = [f"- `{row['name']}`: {row['error']}" for row in rows if "error" in row]
    if failed:
        parts.append("\n".join(["## Not measured\n", *failed]) + "\n")
    shared = [
        f"- `{row['name']}`: the training of `{row['trained_by']}`"
        for row in sorted(rows, key=lambda row: row["name"])
        if row.get("trained_by", row["name"]) != row["name"]
    ]
    if shared:
        lead = "Runs that learn the same by their settings were trained once:\n"
        parts.append("\n".join(["## Shared trainings\n", lead, *shared]) + "\n")
    return "\n".join(parts)


def _protocol(content: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    settings, train = content["settings"], content["settings"]["train"]
    model = settings["model"]
    name = model if isinstance(model, str) else f"a fresh {model.get('model_type', 'model')}"
    length = counted(
        train["max_steps"] or train["epochs"], "step" if train["max_steps"] else "epoch"
    )
    if settings.get("train_on"):
        length += f" over {counted(settings['train_on'], 'training text')}, in batches"
    seeds = sorted({row["seed"] for row in rows})
    sizes = {run["calibrated"]["n_rows"] for run in measured(content["runs"]).values()}
    unit = UNITS[UNIT_OF[settings["level"]]]
    measured_on = f"; measured on {', '.join(map(str, sorted(sizes)))} test {unit}" if sizes else ""
    return (
        f"Model `{name}`, data `{settings['data'] or 'generated'}`, {length} of "
        f"{train['batch_size']}, learning rates {train['lr']:g} and {train['head_lr']:g} (heads), "
        f"seeds {', '.join(map(str, seeds))}{measured_on}.\n"
    )


def _fewer_seeds(rows: Sequence[Mapping[str, Any]]) -> str:
    seeds = {entry["method"]: entry["seeds"] for entry in means(rows)}
    fewer = [name for name, count in seeds.items() if count < max(seeds.values())]
    return f"With fewer seeds than the others: {_names(fewer)}.\n" if fewer else ""


def _suggestion(rows: Sequence[Mapping[str, Any]]) -> str:
    whole = "of what fine-tuning without exits reaches on the test split"
    best, enough = suggested(rows)
    if best is None:
        return ""
    saved = _number(best["calibrated_depth_speedup"], 1, 2, unit="×")
    kept = _number(best["calibrated_of_single"], 100, 1, unit="%")
    if enough:
        return (
            f"Of the calibrated policies that keep {KEPT:.0%} {whole}, that of `{best['method']}` "
            f"saves most: {saved} fewer layers at {kept}.\n"
        )
    return (
        f"No calibrated policy keeps {KEPT:.0%} {whole}; that of `{best['method']}` keeps most, "
        f"{kept} at {saved} fewer layers.\n"
    )


def _lead(rows: Sequence[Mapping[str, Any]]) -> str:
    by_choice = lead(rows, CHOSEN)
    found = by_choice or lead(rows)
    if found is None:
        return ""
    first, beaten, others = found
    parts = [f"{'At 2×' if by_choice else 'By AUC'} `{first}` is first"]
    if beaten:
        parts.append(f"on every seed by more than the spread between seeds before {_names(beaten)}")
    if others:
        parts.append(f"but not by so much before {_names(others)}")
    return ", ".join(parts) + ".\n"


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Means over seeds as a Markdown table."""
    align = [":--"] * _LEFT + ["--:"] * (len(_HEADER) - _LEFT)
    lines = [_HEADER, align, *(_cells(entry) for entry in means(rows))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def _cells(entry: Mapping[str, Any]) -> list[str]:
    points = (entry.get(f"chosen_{speed}x") for speed in ("2", "1.5", "3"))
    return [
        f"`{entry['method']}`{_trainings(entry)}",
        entry["paper"],
        *(_number(value, 100, 1) for value in points),
        _number(entry.get("full_depth"), 100, 1),
        _number(entry.get("against_single"), 100, 1, sign=True),
        _number(entry.get("calibrated_quality"), 100, 1),
        _number(entry.get("calibrated_of_single"), 100, 1, unit="%"),
        _number(entry.get("calibrated_depth_speedup"), 1, 2, unit="×"),
        _number(entry.get("overhead"), 100, 2, unit="%"),
        _clock(entry),
        _number(entry.get("area"), 100, 2),
        _number(entry.get("elue"), 100, 2, sign=True),
        _number(entry.get("layers_saved_at_99"), 1, 2, unit="×"),
    ]


def _trainings(entry: Mapping[str, Any]) -> str:
    """How many trainings a curve cost, where it was more than one."""
    count, _ = entry.get("trainings") or (1, None)
    return f", {count:g} trainings" if count > 1 else ""


def _number(
    value: tuple[float, float | None] | None,
    scale: int,
    digits: int,
    unit: str = "",
    sign: bool = False,
) -> str:
    if value is None:
        return NOTHING
    mean, spread = value
    shown = round(scale * mean, digits) + 0.0  # no minus before a zero
    text = f"{shown:{'+' if sign else ''}.{digits}f}{unit}"
    return text if spread is None else f"{text} ± {scale * spread:.{digits}f}"


def _clock(entry: Mapping[str, Any]) -> str:
    median = entry.get("clock_median")
    if median is None:
        return NOTHING
    low, high = entry["clock_p10"][0], entry["clock_p90"][0]
    return f"{median[0]:.2f}× ({low:.2f}{NOTHING}{high:.2f})"
