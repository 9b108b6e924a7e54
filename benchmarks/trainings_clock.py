r"""The clock of trainings that were compared: each with the policy that was calibrated for it.

    python recipes/compare_methods.py data=DATA task=pos trainings=[halt_and_copy,joint] \
        output_dir=runs/trainings
    python benchmarks/trainings_clock.py results.json --case pos runs/trainings DATA

Every run of a folder is timed against the plain model in padded batches and its own full depth,
all taking turns. What is in the file already is not measured again, if the commit is the same.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from kept import Results, commit, machine  # noqa: E402

from tokenexit.config import friendly_errors  # noqa: E402
from tokenexit.errors import UserError  # noqa: E402
from tokenexit.workflows.commands import open_model  # noqa: E402

HEADER = ("training", "corpus", "fewer layers", "kept", "batch", "fp32", "int8")


@dataclass(frozen=True)
class Case:
    """One run, timed one way.

    Attributes:
        name: Of the corpus, the training, the batch and the precision.
        corpus: Name of the corpus.
        folder: Of the run.
        precision: What computes.
        batch_size: Texts a batch.
        texts: Test texts that are timed.
        repeats: Timed passes.
    """

    name: str
    corpus: str
    folder: str
    precision: str
    batch_size: int
    texts: int
    repeats: int


def measure(case: Case, data: str) -> dict[str, Any]:
    """What its calibration says, and times."""
    told = json.loads((Path(case.folder) / "calibration.json").read_text(encoding="utf-8"))
    opened = open_model(case.folder, precision=case.precision)
    few = opened.split(data, "test").sample(case.texts)
    clock = opened.bench(few, None, None, batch_size=case.batch_size, repeats=case.repeats)
    metrics = json.loads((Path(case.folder) / "metrics.json").read_text(encoding="utf-8"))
    return {
        "policy": told["policy"],
        "test": {
            name: metrics["splits"]["test"][name]
            for name in ("quality", "relative_quality", "depth_speedup", "mac_ratio")
        },
        "clock": clock.to_json(),
    }


def runs_of(folder: Path) -> list[Path]:
    """Trainings with a policy, by name; several rows of one training are timed once."""
    return sorted(
        run for run in folder.iterdir()
        if (run / "calibration.json").is_file() and not run.name.startswith(("first_", "single"))
    )  # fmt: skip


def table(measured: Sequence[dict[str, Any]]) -> str:
    """One line a training and batch: over the plain model, and over its own full depth."""
    rows = [HEADER, (":--", ":--", "--:", "--:", "--:", "--:", "--:")]
    lines: dict[tuple[str, str, int], dict[str, Any]] = {}
    for one in measured:
        asked = one["settings"]
        key = (Path(asked["folder"]).name, asked["corpus"], asked["batch_size"])
        lines.setdefault(key, {})[asked["precision"]] = one["result"]
    for (name, corpus, batch), found in sorted(lines.items(), key=lambda line: line[0][1:]):
        test = next(iter(found.values()))["test"]
        rows.append(
            (
                f"`{name.rpartition('-seed')[0]}`",
                corpus,
                f"{test['depth_speedup']:.2f}x",
                f"{test['relative_quality']:.1%}",
                str(batch),
                *(clocked(found.get(precision)) for precision in ("fp32", "int8")),
            )
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def clocked(result: dict[str, Any] | None) -> str:
    """Over the plain model, and what exits alone add."""
    if result is None:
        return ""
    clock = result["clock"]
    return f"{clock['speedup_median']:.2f}x, {clock['policy_speedup']:.2f}x"


def main(argv: Sequence[str] | None = None) -> None:
    """Measure what is not in the file yet, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="file of results")
    parser.add_argument("--case", nargs=3, action="append", default=[],
                        metavar=("NAME", "FOLDER", "DATA"), help="a comparison's runs")  # fmt: skip
    parser.add_argument("--precisions", nargs="+", default=["fp32", "int8"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 32])
    parser.add_argument("--texts", type=int, default=96, help="texts that are timed")
    parser.add_argument("--repeats", type=int, default=5, help="timed passes")
    args = parser.parse_args(argv)
    cases: dict[Case, str] = {}
    for name, folder, data in args.case:
        runs = runs_of(Path(folder)) if Path(folder).is_dir() else []
        if not runs:
            raise UserError(f"{folder} has no runs with a calibration; compare trainings first.")
        for run in runs:
            for precision in args.precisions:
                for batch in args.batches:
                    label = f"{name} {run.name} {precision} {batch}"
                    told = (name, str(run), precision, batch, args.texts, args.repeats)
                    cases[Case(label, *told)] = data
    results = Results(args.out, machine(), commit(), [one.name for one in cases])
    for case, data in cases.items():
        if results.has(case):
            continue
        start = time.perf_counter()
        found = measure(case, data)
        results.add(case, sys.argv, time.perf_counter() - start, found)
        print(f"{case.name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    print(table(list(results.measured.values())))


if __name__ == "__main__":
    with friendly_errors():
        main()
