"""Rows that wait for others, by an account with stated costs: what docs/batching_by_depth.md says.

    python benchmarks/waiting.py --out benchmarks/results/waiting.json --write

Nothing is timed and no model is needed: depths are drawn, the schedule is the one that runs, and
what a step costs is data (``tokenexit.decoding.by_depth.simulate.H200``). *Over full depth* is
tokens a second over those of full depth in batches of the same size, *over all* over those of full
depth with all texts in flight in one batch.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tokenexit.config import friendly_errors  # noqa: E402
from tokenexit.decoding.by_depth.choose import WAITS, candidates, fastest  # noqa: E402
from tokenexit.decoding.by_depth.simulate import (  # noqa: E402
    H200,
    Costs,
    fixed_batch,
    geometric,
)
from tokenexit.files import to_json, write_text  # noqa: E402

PAGE = ROOT / "docs" / "batching_by_depth.md"
BEGIN, END = "<!-- waiting -->", "<!-- /waiting -->"
THIRD = geometric(4, H200.layers)
"""Depths that are a third of the layers on average."""
EXITS = ((4,), (4, 8), (3, 6), (2, 4, 6, 8))
CASES = ((1, 1), (32, 32), (32, 64), (128, 128), (128, 256))
"""Rows of a round, and texts in flight."""
EVERY = (1, 2, 4)


def account() -> dict[str, Any]:
    """All of it, as plain data."""
    free = replace(H200, decision=0.0, copy=0.0, planning=0.0)
    return {
        "costs": asdict(H200),
        "fixed_steps": [
            {
                "batch": batch,
                "asked_every": every,
                "ms": batch * fixed_batch(H200, range(every, 12, every), batch, THIRD).ms_per_token,
            }
            for batch in (1, 32)
            for every in EVERY
        ],
        "stated": [case(H200, *each) for each in CASES],
        "free": [case(free, 32, 32), case(free, 32, 64)],
    }


def case(costs: Costs, batch: int, slots: int) -> dict[str, Any]:
    """The best of the exits in fixed batches and under each bound on waiting, and of all ways."""
    ways = candidates(costs, EXITS, batch, slots, THIRD)
    waiting = [way for way in ways if way.batching == "by_depth"]
    taken, best = fastest(ways), fastest(ways[1:])  # the first is full depth
    return {
        "batch": batch,
        "in_flight": slots,
        "fixed": max(way.over_full for way in ways if way.batching == "fixed"),
        "by_depth": {
            str(wait): max(way.over_full for way in waiting if way.max_wait == wait)
            for wait in WAITS
        },
        "over_all": best.over_all,
        "exits": best.exits,
        "taken": taken.batching,
    }


def table(found: Mapping[str, Any]) -> str:
    """Over full depth, as Markdown."""
    head = ["batch, texts in flight", "fixed batches", *map(str, WAITS)]
    head.append("the best, over full depth with all texts in flight in one batch")
    rows = [
        [
            f"{row['batch']}, {row['in_flight']}",
            *(f"{value:.2f}" for value in (row["fixed"], *row["by_depth"].values())),
            f"{row['over_all']:.2f}",
        ]
        for row in found["stated"]
    ]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(argv: Sequence[str]) -> None:
    """Print the table, keep the account, put the table into the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.name}")
    given = parser.parse_args(argv)
    found = json.loads(to_json(account()))
    if given.out:
        write_text(given.out, to_json(found, indent=1) + "\n")
    print(table(found))
    if given.write:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        write_text(PAGE, f"{before}{BEGIN}\n{table(found)}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    with friendly_errors():
        main(sys.argv[1:])
