"""Collect finished runs into ``recipes/results`` and bring the table of them up to date.

    python recipes/record_results.py NAME RUN [RUN ...] [single=RUN ...]
    python recipes/record_results.py                  # only the table, from what is recorded

Several runs are those of several seeds, or one folder of ``seeds=[...]``. ``single`` is the run of
the same encoder, seed and schedule fine-tuned with its top head alone
(``train.objective.name=single exit_layers=[6]``); one a seed. Clocks are measured by
``benchmarks/run.py`` and put into the page by ``benchmarks/table.py``.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from _results import results_table  # noqa: E402

from tokenexit.config import friendly_errors, from_yaml  # noqa: E402
from tokenexit.errors import UserError  # noqa: E402
from tokenexit.evaluation.bootstrap import paired, text_parts  # noqa: E402
from tokenexit.files import to_json, write_text  # noqa: E402
from tokenexit.halting.trace import ROW_FIELDS  # noqa: E402
from tokenexit.reporting.word_trace import word_trace_of  # noqa: E402
from tokenexit.tasks import TASKS  # noqa: E402

RESULTS = HERE / "results"
PAGE = HERE.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- results -->", "<!-- /results -->"

SCHEDULE = ("epochs", "max_steps", "batch_size", "lr", "embedding_lr", "precision")
"""What both sides of a row have in common."""

SAME = ("data", "model", "train")
"""What all seeds of a corpus have in common."""


def record(name: str, runs: Sequence[Path], singles: Sequence[Path] = ()) -> None:
    """Write ``results/NAME.json``.

    Args:
        name: Of the corpus.
        runs: Finished runs with exits, one a seed.
        singles: Runs of the top alone.

    Raises:
        UserError: A run is not finished, they do not belong together, or a single head had
            another schedule.
    """
    alone = {_json(path / "metrics.json")["seed"]: path for path in seeds_of(singles)}
    found: dict[str, Any] = {}
    for run in seeds_of(runs):
        one = _read(run)
        seed = one.pop("seed")
        common = {key: one.pop(key) for key in SAME}
        if not found:
            found = {**common, "runs": {}}
        changed = [key for key in SAME if found[key] != common[key]]
        if changed:
            raise UserError(f"{run} has another {changed[0]} than {runs[0]}; give runs of one.")
        if str(seed) in found["runs"]:
            raise UserError(f"{run} has seed {seed} as one before it; give one run a seed.")
        if seed in alone:
            one |= _beside(run, alone.pop(seed), common["train"])
        found["runs"][str(seed)] = one
    if alone:
        raise UserError(f"single: no run with exits has seed {min(alone)}.")
    write_text(RESULTS / f"{name}.json", to_json(found, indent=1) + "\n")


def seeds_of(folders: Sequence[Path]) -> list[Path]:
    """Runs, those of folders of several seeds one by one."""
    return [
        run
        for folder in folders
        for run in (sorted(folder.glob("seed-[0-9]*")) or [folder])
    ]  # fmt: skip


def _read(run: Path) -> dict[str, Any]:
    metrics = _json(run / "metrics.json")
    config = from_yaml((run / "config.yaml").read_text(encoding="utf-8"), str(run))
    with (run / "pareto.csv").open(encoding="utf-8") as file:
        curve = [
            {k: row[k] for k in ("kind", "policy", "quality", "depth_speedup", "mac_ratio")}
            for row in csv.DictReader(file)
        ]
    return {
        "data": Path(str(metrics["data"])).name,
        "model": Path(str(metrics["model"])).name,
        "train": config["train"],
        "seed": metrics["seed"],
        "splits": metrics["splits"],
        "static": metrics["static"],
        "calibration": _calibration(run / "calibration.json"),
        "curve": curve,
    }


def _beside(run: Path, single: Path, train: dict[str, Any]) -> dict[str, Any]:
    """The top alone, and what exits keep of it."""
    other = _read(single)
    unequal = [key for key in SCHEDULE if train.get(key) != other["train"].get(key)]
    if unequal:
        raise UserError(
            f"{single} had another schedule than {run}: {unequal[0]} was "
            f"{other['train'].get(unequal[0])!r} against {train.get(unequal[0])!r}. A row is of "
            "equal training."
        )
    found: dict[str, Any] = {"single": other["splits"]}
    against = _against(run, single)
    return found if against is None else {**found, "against_single": against}


def _against(run: Path, single: Path) -> dict[str, float] | None:
    """Quality less that of the top alone, and the share kept, with intervals over texts.

    None where traces do not hold what is needed: texts of generators, numbers, other metrics.
    """
    told = _json(run / "metrics.json")
    task = dict(TASKS.items()).get(told["task"])
    split = "test" if "test" in told["splits"] else "validation"
    paths = [folder / "traces" / f"{split}.parquet" for folder in (run, single)]
    usual = task is not None and task.countable and told["splits"][split]["metric"] == task.metric
    if not usual or not all(path.is_file() for path in paths):
        return None
    import pyarrow.parquet as pq

    tables = [pq.read_table(path) for path in paths]
    if not all(set(ROW_FIELDS) <= set(table.column_names) for table in tables):
        return None
    traces = [word_trace_of(t, path) for t, path in zip(tables, paths, strict=True)]
    if len(traces[0]) != len(traces[1]) or (traces[0].gold != traces[1].gold).any():
        raise UserError(f"{single} was not measured on the texts of {run}.")
    texts = int(traces[0].text.max(initial=-1)) + 1
    ours, others = (text_parts(t, told["labels"], told["task"], texts) for t in traces)
    found = paired(ours, others)
    return asdict(found) if isfinite(found.kept_low) else None


def _calibration(path: Path) -> dict[str, Any] | None:
    """What was promised; None where the policy was given by hand."""
    if not path.is_file():
        return None
    return {key: value for key, value in _json(path).items() if key != "candidates"}


def table() -> str:
    """All recorded results as Markdown."""
    return results_table({path.stem: _json(path) for path in sorted(RESULTS.glob("*.json"))})


def _json(path: Path) -> Any:
    if not path.is_file():
        raise UserError(f"There is no {path}; give a finished run.")
    return json.loads(path.read_text(encoding="utf-8"))


def main(argv: list[str]) -> None:
    """Record runs if any are named, then print the table and put it into its page."""
    if argv:
        singles = [Path(item.partition("=")[2]) for item in argv if item.startswith("single=")]
        runs = [Path(item) for item in argv[1:] if not item.startswith("single=")]
        if not runs or argv[0].startswith("single="):
            raise UserError("Give NAME RUN ..., then single=RUN ...; or nothing for the table.")
        record(argv[0], runs, singles)
    print(table())
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    write_text(PAGE, f"{before}{BEGIN}\n{table()}\n{END}{after}")


if __name__ == "__main__":
    with friendly_errors():
        main(sys.argv[1:])
