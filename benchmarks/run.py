"""Every clock of the README on this machine, in one command that can be interrupted.

    python benchmarks/run.py --models runs --data DATA --minutes 25 --out results.json
    python benchmarks/run.py ... --only int8        # cases with this in their names
    python benchmarks/run.py --list
    python benchmarks/run.py --device cuda --minutes 6 --out gpu.json   # what a GPU reaches
    python benchmarks/run.py --device cpu --small --out tiny.json       # the same with tiny shapes
    python benchmarks/table.py results.json

Each case of ``cases.py`` is a ``tokenexit bench`` in a process of its own, and is written to --out
as soon as it is done, with its command, machine, instruction set, threads, versions and commit.
Started again with the same file it goes on with what is missing, or was measured at another commit
or with other settings; the file of another machine is refused. One text at a time is timed with the
folder MODEL_one where there is one: calibrated with --batch-size 1. What there is no model or data
for is skipped and named, as is what --minutes leaves no time for. The other engines are installed
by ``pip install "tokenexit[peers]"``. The machine should have nothing else to do.

With --device the cases are those of ``on_device/cases.py``: networks of known shapes with random
weights and depths that are forced, so neither models nor data are needed. What cannot be measured
is written with its reason, and not tried again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cases import Case, cases  # noqa: E402
from kept import Results, commit, machine  # noqa: E402

from tokenexit.config import friendly_errors  # noqa: E402
from tokenexit.errors import UserError  # noqa: E402

MOST = 900.0
"""Seconds after which a case is given up."""


def measure(case: Case, model: Path, data: Path, results: Results) -> str:
    """Run a case in a process of its own; what came of it, in words."""
    shown = ["tokenexit", "bench", model.name, "--data", case.data, *case.flags]
    environment = {**os.environ, "TOKENEXIT_KERNELS": case.kernels}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "bench.json"
        command = [str(model), "--data", str(data), *case.flags, "--json", str(out)]
        start = time.monotonic()
        try:
            done = subprocess.run(
                [sys.executable, "-m", "tokenexit", "bench", *command],
                env=environment,
                capture_output=True,
                text=True,
                timeout=MOST,
            )
        except subprocess.TimeoutExpired:
            return f"given up after {MOST:.0f} s"
        seconds = time.monotonic() - start
        if done.returncode or not out.is_file():
            last = (done.stderr.strip() or done.stdout.strip() or "nothing said").splitlines()[-1]
            return f"failed with exit code {done.returncode}: {last}"
        result = json.loads(out.read_text(encoding="utf-8"))
    if case.kernels != "auto":
        shown.insert(0, f"TOKENEXIT_KERNELS={case.kernels}")
    results.add(case, shown, seconds, result)
    missing = [row["reason"] for row in result["rows"] if "reason" in row]
    told = f"{result['speedup_median']:.2f}x plain, exits {result['policy_speedup']:.2f}x"
    return "; ".join([f"{told} ({seconds:.0f} s)", *dict.fromkeys(missing)])


def folder_of(case: Case, models: Path) -> Path:
    """The run that is timed: texts one by one have a policy of their own where there is one."""
    alone = models / f"{case.model}_one"
    return alone if case.batch_size == 1 and alone.is_dir() else models / case.model


def main(argv: Sequence[str]) -> int:
    """Measure what is missing; 1 if something failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=Path("runs"), help="folder of run folders")
    parser.add_argument("--data", type=Path, help="folder of the corpora")
    parser.add_argument("--out", type=Path, help="file of results, gone on with if it exists")
    parser.add_argument("--minutes", type=float, default=25.0, help="time to spend")
    parser.add_argument("--only", default="", help="cases with this in their names")
    parser.add_argument("--list", action="store_true", help="name the cases and stop")
    parser.add_argument("--device", help="cuda or cpu: measure what a GPU should reach")
    parser.add_argument("--small", action="store_true", help="with --device, tiny shapes")
    given = parser.parse_args(argv)
    if given.device is not None:
        return _on_device(given)
    if given.small:
        raise UserError("--small is for --device; give both, or neither.")
    chosen = [case for case in cases() if given.only in case.name]
    if not chosen:
        raise UserError(f"No case has {given.only!r} in its name; --list names them.")
    if given.list:
        print("\n".join(case.name for case in chosen))
        return 0
    if given.data is None or given.out is None:
        raise UserError("Give --data, the folder of the corpora, and --out, the file of results.")
    results = Results(given.out, machine(), commit(), [case.name for case in cases()])
    end = time.monotonic() + 60 * given.minutes
    failed = False
    for case in chosen:
        model, data = folder_of(case, given.models), given.data / case.data
        absent = [str(path) for path in (model, data) if not path.exists()]
        if results.has(case):
            said = "already measured"
        elif absent:
            said = f"skipped: there is no {' and no '.join(absent)}"
        elif time.monotonic() + results.expected() > end:
            said = f"left for another time: --minutes {given.minutes:g} are over"
        else:
            said = measure(case, model, data, results)
            failed = failed or said.startswith(("failed", "given up"))
        print(f"{case.name}: {said}", flush=True)
    return int(failed)


def _on_device(given: argparse.Namespace) -> int:
    from on_device.run import run_on_device

    return run_on_device(
        given.device, given.small, given.only, given.minutes, given.out, commit(), given.list
    )


if __name__ == "__main__":
    with friendly_errors():
        sys.exit(main(sys.argv[1:]))
