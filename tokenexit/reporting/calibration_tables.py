"""Tables of the page on the calibration: what was timed, run and simulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from tokenexit.policies.in_words import policy_words
from tokenexit.reporting.candidates import Tried
from tokenexit.reporting.table import Table
from tokenexit.wording.naming import NOTHING, fixed, milliseconds, percent, score, times

CHOSEN = Markup('<span class="tag">chosen</span>')
YES, NO = Markup('<span class="yes">yes</span>'), Markup('<span class="no">no</span>')


def timed_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The finalists that were timed in turns.

    Args:
        rows: See ``wording.clock.timed_rows``.
    """
    head = ["Timed in turns", "What it is", "ms a text", "10th to 90th percentile"]
    cells = [
        [
            _named(policy_words(row.get("policy")), bool(row.get("chosen"))),
            str(row["name"]),
            milliseconds(row["ms"]),
            f"{milliseconds(row.get('ms_p10'))} – {milliseconds(row.get('ms_p90'))}",
            milliseconds(row.get("ms_foretold")),
            percent(row.get("relative_quality"), 2),
        ]
        for row in rows
    ]
    chosen = [number for number, row in enumerate(rows) if row.get("chosen")]
    return Table([*head, "Foretold", "Kept"], cells, text=(0,), marked=chosen)


def verified_table(rows: Sequence[Tried], metric: str, timed: bool, simulated: bool) -> Table:
    """Settings that the engine ran.

    Args:
        rows: The settings.
        metric: Which figure is the quality.
        timed: Whether times were foretold.
        simulated: Whether settings were simulated before.
    """
    head = ["Policy, run by the engine", "Quality", "Kept", "Target met", "Fewer layers"]
    head += ["Foretold"] if timed else []
    head += ["Simulated quality", "Simulated"] if simulated else []
    cells = []
    for row in rows:
        met = NOTHING if row.kept is None else YES if row.kept else NO
        line = [_named(row.policy, row.chosen), score(row.quality, metric)]
        line += [percent(row.relative, 2), met, times(row.speedup)]
        line += [milliseconds(row.foretold)] if timed else []
        line += [fixed(row.simulated, 4), times(row.simulated_speedup)] if simulated else []
        cells.append(line)
    chosen = [number for number, row in enumerate(rows) if row.chosen]
    return Table(head, cells, text=(0,), marked=chosen)


def simulated_table(rows: Sequence[Tried]) -> Table:
    """Settings that were only simulated."""
    cells = [[r.policy, fixed(r.simulated, 4), times(r.simulated_speedup)] for r in rows]
    return Table(["Policy", "Simulated quality", "Simulated fewer layers"], cells, text=(0,))


def _named(policy: str, chosen: bool) -> str:
    return Markup("{} {}").format(policy, CHOSEN) if chosen else policy
