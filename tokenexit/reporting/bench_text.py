"""A comparison of speed as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from tokenexit.errors import printable
from tokenexit.wording.naming import counted, fixed, percent, policy_text, times

WIDTH = 88
_DIFFERENT = 0.01
"""Share by which written tokens may differ before it is said."""


def bench_text(found: Mapping[str, Any]) -> str:
    """Everything that was timed as a table, and what it means.

    Args:
        found: As ``tokenexit bench --json`` writes it.
    """
    per_second = "tokens/s" if found["kind"] == "tokens" else "texts/s"
    header = ("", "", "ms/text", per_second, "speed-up", "p10-p90", "ours", "agrees")
    rows = [_cells(row) for row in found["rows"]]
    figures = [row for row in rows if len(row) == len(header)]
    widths = [max(map(len, column)) for column in zip(header, *figures, strict=True)]
    widths[:2] = [max(len(row[place]) for row in rows) for place in (0, 1)]
    lines = [_line(row, widths) for row in (header, *rows)]
    notes = {name: text for name, text in _notes(found).items() if text}
    indent = max(map(len, notes)) + 2
    for name, text in notes.items():
        lines += textwrap.wrap(
            text, WIDTH, initial_indent=f"{name:<{indent}}", subsequent_indent=" " * indent
        )
    return printable("\n".join([*lines[: len(rows) + 1], "", *lines[len(rows) + 1 :]]))


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    if "reason" in row:
        return row["name"], row["precision"], printable(row["reason"])
    return (
        row["name"],
        row["precision"],
        fixed(row["ms_per_text"], 2),
        fixed(row["per_second"], 0 if row["per_second"] >= 1000 else 1),
        times(row["speedup_median"]),
        f"{row['speedup_p10']:.2f}-{row['speedup_p90']:.2f}",
        times(row["ours_median"]),
        percent(row["agreement"]),
    )


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    name, precision, *rest = cells
    start = f"{name:<{widths[0]}}  {precision:<{widths[1]}}  "
    if len(cells) < len(widths):
        lines = textwrap.wrap(f"not timed: {rest[0]}", WIDTH - len(start)) or [""]
        return start + ("\n" + " " * len(start)).join(lines)
    numbers = (f"{cell:>{width}}" for cell, width in zip(rest, widths[2:], strict=True))
    return (start + "  ".join(numbers)).rstrip()


def _notes(found: Mapping[str, Any]) -> dict[str, str]:
    ran = found["ran"]
    versions = ", ".join(f"{name} {version}" for name, version in ran["versions"].items())
    by_length = any("sorted" in row["name"] for row in found["rows"])
    gain = f"{found['policy_speedup_p10']:.2f}-{found['policy_speedup_p90']:.2f}"
    threads = counted(found["threads"], "thread")
    return {
        "policy": policy_text(found["policy"]),
        "adds": f"{times(found['policy_speedup'])} ({gain}) over our own full depth, where the "
        f"arithmetic allows {times(found['bound'])}: {percent(found['of_bound'], 0)} of it",
        "depth": f"{found['mean_exit_layer']:.2f} of {counted(found['num_layers'], 'layer')}, "
        f"{fixed(found['mac_ratio'])} of the plain model's multiply-accumulates",
        "by depth": _by_depth(found),
        "speed-up": f"over {found['baseline']}; {_passes(found['repeats'])} over "
        f"{counted(found['n_sentences'], 'text')}, {found['batch_size']} a batch, all taking turns",
        "ours": "its time over that of ours with the policy",
        "batches": f"{percent(found['padding'], 0)} padding in the plain ones, which come in "
        "order, as ours do; sorted ones are made over all texts beforehand"
        if by_length
        else "in order",
        "agrees": _agrees(found),
        "lengths": _lengths(found),
        "ran": f"{ran['processor']}, {ran['instruction_set']}, {threads}, {found['device']}; "
        f"python {ran['python']}, {versions}",
        "kernels": _products(found),
        "runtime": found.get("runtime", ""),
    }


def _products(found: Mapping[str, Any]) -> str:
    """By what it multiplies, and what a CPU does faster."""
    told = found["ran"].get("kernels", "")
    plain = told == "torch" and found["device"] == "cpu" and found["precision"] == "fp32"
    return told + "; --precision int8 runs in compiled kernels" * plain


def _by_depth(found: Mapping[str, Any]) -> str:
    """What rows gained by waiting for others of their depth, where it was asked."""
    told = found.get("batching")
    if told is None:
        return ""
    over = (
        f"{times(told[f'{name}_median'])} ({told[f'{name}_p10']:.2f}-{told[f'{name}_p90']:.2f})"
        for name in ("fixed", "full_depth")
    )
    waited = f"are due after {counted(told['max_wait'], 'round')}, waited {told['longest_wait']}"
    return (
        f"{' over fixed batches and '.join(over)} over full depth; {told['slots']} texts in "
        f"flight, rows {waited} at most; the fastest is {told['fastest']}"
    )


def _passes(count: int) -> str:
    return "one pass" if count == 1 else f"median of {count} passes"


def _agrees(found: Mapping[str, Any]) -> str:
    if found["kind"] == "tokens":
        return (
            "tokens written up to the first that the plain model writes differently, mean over "
            "texts"
        )
    return f"{found['kind']} labelled as by the plain model"


def _lengths(found: Mapping[str, Any]) -> str:
    """Whether some wrote more than others, which takes longer."""
    rows = [row for row in found["rows"] if row.get("tokens")]
    plain = rows[0]["tokens"] if rows else 0
    odd = [row for row in rows if abs(row["tokens"] - plain) > _DIFFERENT * plain]
    if not odd:
        return ""
    told = "; ".join(f"{row['name']} {row['precision']} {row['tokens']}" for row in odd)
    return f"not all write the same number of tokens: plain transformers {plain}; {told}"
