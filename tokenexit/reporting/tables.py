"""Results as text: a Markdown table for a README, a few lines for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokenexit.errors import printable
from tokenexit.reporting.difference import difference_lines
from tokenexit.reporting.files import known
from tokenexit.reporting.oracle_text import oracle_lines
from tokenexit.reporting.result import read_result
from tokenexit.reporting.text_figures import text_lines
from tokenexit.results import Result
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
    lines = [_HEADER, align, *(_cells(read_result(row)) for row in rows)]
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
    r = read_result(result)
    full, counts = known(r.quality_full_depth), r.exit_histogram
    against = f" against {score(full, r.metric)} at {r.full_name}"
    against += f", {percent(r.relative_quality)} kept"
    total = max(sum(counts), 1)
    exits = (f"{layer}: {percent(n / total, 0)}" for layer, n in enumerate(counts, start=1))
    depth = f"{r.mean_exit_layer:.2f} of {r.num_layers} layers"
    lines = {
        r.split: _size(r),
        "quality": f"{metric_name(r.metric)} {score(r.quality, r.metric)}{r.within}"
        + (against if full is not None else ""),
        **({"": "lower is better; kept is full depth's over that"} if r.lower_is_better else {}),
        **difference_lines(r),
        **text_lines(r),
        "depth": f"{depth}, {times(r.depth_speedup)} fewer",
        **oracle_lines(r),
        "compute": f"{fixed(r.mac_ratio)} of the plain model's multiply-accumulates",
        "exits": "  ".join(exits),
    }
    if known(r.mac_ratio) is None:
        del lines["compute"]
    if r.policy:
        lines["policy"] = policy_text(r.policy)
    width = max(len(name) for name in lines)
    return printable("\n".join(f"{name:<{width}}  {text}" for name, text in lines.items()))


def _size(r: Result) -> str:
    """What was measured on."""
    holder, rows = HOLDERS[r.unit], counted(r.n_rows, r.unit)
    return rows if holder == r.unit else f"{rows} in {counted(r.n_sentences, holder)}"


def _cells(r: Result) -> list[str]:
    policy = policy_text(r.policy).replace("|", "\\|") if r.policy else ""
    return [
        r.split,
        f"`{policy}`" if policy else "",
        metric_name(r.metric),
        score(r.quality, r.metric),
        score(r.quality_full_depth, r.metric),
        percent(r.relative_quality),
        f"{fixed(r.mean_exit_layer, 2)} of {r.num_layers}",
        times(r.depth_speedup),
        fixed(r.mac_ratio),
    ]
