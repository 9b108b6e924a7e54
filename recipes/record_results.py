"""Collect finished runs into ``recipes/results``, and write the table of docs/benchmarks.md.

    python recipes/record_results.py NAME RUN [single=RUN]
    python recipes/record_results.py                  # only the table, from what is recorded

``single`` is the run of the same encoder fine-tuned with its top head alone
(``train.objective.name=single exit_layers=[6]``). Clocks are measured by ``benchmarks/run.py`` and
put into that page by ``benchmarks/table.py``.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

from tokenexit.config import friendly_errors, from_yaml
from tokenexit.errors import UserError
from tokenexit.files import to_json, write_text

RESULTS = Path(__file__).resolve().parent / "results"
PAGE = RESULTS.parent.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- results -->", "<!-- /results -->"


def record(name: str, run: Path, extras: dict[str, Path]) -> None:
    """Write ``results/NAME.json``."""
    metrics = _json(run / "metrics.json")
    config = from_yaml((run / "config.yaml").read_text(encoding="utf-8"), str(run))
    with (run / "pareto.csv").open(encoding="utf-8") as file:
        curve = [
            {k: row[k] for k in ("kind", "policy", "quality", "depth_speedup", "mac_ratio")}
            for row in csv.DictReader(file)
        ]
    data: dict[str, Any] = {
        "data": Path(str(metrics["data"])).name,
        "model": Path(str(metrics["model"])).name,
        "train": config["train"],
        "seed": metrics["seed"],
        "splits": metrics["splits"],
        "static": metrics["static"],
        "calibration": _calibration(run / "calibration.json"),
        "curve": curve,
    }
    for key, path in extras.items():
        data[key] = _json(path / "metrics.json")["splits"]
    write_text(RESULTS / f"{name}.json", to_json(data, indent=1) + "\n")


def _calibration(path: Path) -> dict[str, Any] | None:
    """What was promised; None where the policy was given by hand."""
    if not path.is_file():
        return None
    return {key: value for key, value in _json(path).items() if key != "candidates"}


def table() -> str:
    """All recorded results as Markdown."""
    lines = [
        "| corpus (test) | metric | single head | full depth | with exits | kept | layers saved "
        "| multiply-adds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for path in sorted(RESULTS.glob("*.json")):
        data = _json(path)
        row = data["splits"]["test"]
        single = data.get("single", {}).get("test", {}).get("quality")
        cells = [
            path.stem,
            row["metric"],
            "" if single is None else f"{100 * single:.1f}",
            f"{100 * row['quality_full_depth']:.1f}",
            f"{100 * row['quality']:.1f}",
            f"{100 * row['relative_quality']:.1f} %",
            f"{row['depth_speedup']:.2f}x",
            f"{row['mac_ratio']:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _json(path: Path) -> Any:
    if not path.is_file():
        raise UserError(f"There is no {path}; give a finished run.")
    return json.loads(path.read_text(encoding="utf-8"))


def main(argv: list[str]) -> None:
    """Record one run if one is named, then print the table and put it into the page."""
    if argv:
        if len(argv) < 2 or any(not item.startswith("single=") for item in argv[2:]):
            raise UserError("Give NAME RUN, then single=RUN; or nothing for the table alone.")
        extras = {key: Path(path) for key, _, path in (item.partition("=") for item in argv[2:])}
        record(argv[0], Path(argv[1]), extras)
    print(table())
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    write_text(PAGE, f"{before}{BEGIN}\n{table()}\n{END}{after}")


if __name__ == "__main__":
    with friendly_errors():
        main(sys.argv[1:])
