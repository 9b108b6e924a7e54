"""Results as text: a Markdown table for a README, a few lines for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokenexit.errors import printable
from tokenexit.reporting.oracle_text import oracle_lines
from tokenexit.reporting.result import Result
from tokenexit.reporting.text_figures import text_lines
from tokenexit.tasks import HOLDERS
from tokenexit.wording.held_to import held_to_sentence
from tokenexit.wording.naming import counted, fixed, metric_name, percent, policy_text, score, times

_HEADER = (
    "Split", "Policy", "Metric", "Early exit", "Full depth", "Kept", "Mean exit layer",
    "Fewer layers", "MACs",
)  # fmt: skip
_LEFT = 3
"""Columns that hold text."""


def results_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Results as a Markdown table, one line each.

    Args:
        rows: As ``tokenexit evaluate --json`` writes them.

    Raises:
        UserError: A row lacks figures.
    """
    align = [":--"] * _LEFT + ["--:"] * (len(_HEADER) - _LEFT)
    lines = [_HEADER, align, *(_cells(Result.from_json(row)) for row in rows)]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"
    note = held_to_sentence(rows)
    return printable(table + (f"\n{note}\n" if note else ""))


def results_text(result: Mapping[str, Any]) -> str:
    """One result in a few lines.

    Args:
        result: As ``tokenexit evaluate --json`` writes it.

    Raises:
        UserError: It lacks figures.
    """
    r = Result.from_json(result)
    against = f" against {score(r.full, r.metric)} at {r.full_name}, {percent(r.relative)} kept"
    total = max(sum(r.histogram), 1)
    exits = (f"{layer}: {percent(n / total, 0)}" for layer, n in enumerate(r.histogram, start=1))
    lines = {
        r.split: _size(r),
        "quality": f"{metric_name(r.metric)} {score(r.quality, r.metric)}{r.within}"
        + (against if r.full is not None else ""),
        **({"": "lower is better; kept is full depth's over that"} if r.lower else {}),
        **text_lines(r),
        "depth": f"{r.mean_exit_layer:.2f} of {r.num_layers} layers, {times(r.speedup)} fewer",
        **oracle_lines(r),
        "compute": f"{fixed(r.mac_ratio)} of the plain model's multiply-accumulates",
        "exits": "  ".join(exits),
    }
    if r.mac_ratio is None:
        del lines["compute"]
    if r.policy:
        lines["policy"] = policy_text(r.policy)
    width = max(len(name) for name in lines)
    return printable("\n".join(f"{name:<{width}}  {text}" for name, text in lines.items()))


def _size(r: Result) -> str:
    """What was measured on."""
    holder, rows = HOLDERS[r.unit], counted(r.rows, r.unit)
    return rows if holder == r.unit else f"{rows} in {counted(r.sentences, holder)}"


def _cells(r: Result) -> list[str]:
    policy = policy_text(r.policy).replace("|", "\\|") if r.policy else ""
    return [
        r.split,
        f"`{policy}`" if policy else "",
        metric_name(r.metric),
        score(r.quality, r.metric),
        score(r.full, r.metric),
        percent(r.relative),
        f"{fixed(r.mean_exit_layer, 2)} of {r.num_layers}",
        times(r.speedup),
        fixed(r.mac_ratio),
    ]
