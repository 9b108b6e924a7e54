"""The oracle and who pays, as text for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tokenexit.errors import printable
from tokenexit.oracle import Tally
from tokenexit.reporting.result import read_result
from tokenexit.results import Result
from tokenexit.wording.naming import fixed, percent, times

MOST = 20
"""Classes that a terminal shows."""

_HEADER = (
    "leave at", "oracle", "reached", "false alarms", "late", "layers lost", "of all lost",
)  # fmt: skip


def oracle_lines(result: Result) -> dict[str, str]:
    """Three lines by name; none where no oracle was asked."""
    known = result.oracle
    if known is None:
        return {}
    total, unit = known.all, result.unit
    return {
        "oracle": f"would let {unit}s leave at layer {fixed(known.exit_layer, 2)}, "
        f"{times(known.depth_speedup)} fewer; {percent(known.reached)} of its saving is reached",
        "too early": f"{total.false_alarms} false alarm{'s' * (total.false_alarms != 1)} "
        f"({percent(_of(total.false_alarms, total), 2)} of {total.rows} {unit}s compared); "
        f"{total.disturbed} more differ that did not leave early",
        "too late": f"{total.late} {unit}s ({percent(_of(total.late, total))}) lost "
        f"{total.layers_lost} layers, {fixed(_of(total.layers_lost, total), 2)} a {unit}",
    }


def oracle_table(result: Mapping[str, Any]) -> str:
    """Who pays, class by class; those that lose most layers come first.

    Args:
        result: As ``tokenexit evaluate --oracle --json`` writes it.

    Raises:
        UserError: It lacks figures.
    """
    r = read_result(result)
    if r.oracle is None:
        return f"No oracle: the {r.split} split has nothing to compare."
    kind = "kind of token" if r.generates else "label of full depth"
    shown = r.oracle.by_class[:MOST]
    rows = [[kind, f"{r.unit}s", *_HEADER], *map(tally_cells, [*shown, r.oracle.all])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            [
                f"{row[0]:<{widths[0]}}",
                *(f"{c:>{w}}" for c, w in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in rows
    ]
    left = len(r.oracle.by_class) - len(shown)
    if left:
        lines.insert(-1, f"{left} more (--json has all)")
    return printable("\n" + "\n".join(lines))


def tally_cells(one: Tally, whole: Callable[[int], str] = str) -> list[str]:
    """A line of a table of who pays; ``whole`` writes counts."""
    return [
        one.label,
        whole(one.rows),
        *(fixed(layer, 2) for layer in (one.exit_layer, one.oracle_layer)),
        percent(one.reached),
        *map(whole, (one.false_alarms, one.late, one.layers_lost)),
        percent(one.share_of_lost),
    ]


def _of(count: int, total: Tally) -> float:
    return count / total.rows
