"""What the runs behind the README's clocks keep, on their test splits in int8.

    python benchmarks/quality.py --models runs --data DATA --out benchmarks/results/quality.json

Each is a ``tokenexit evaluate``: the run's own policy against full depth in float32. As for the
clocks, texts one by one have the folder MODEL_one where there is one. What is there already is not
evaluated again unless it is named with --again; ``headline.py`` reads the file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cases import Case, cases  # noqa: E402
from kept import commit  # noqa: E402
from run import folder_of  # noqa: E402

from tokenexit.config import friendly_errors  # noqa: E402
from tokenexit.errors import UserError  # noqa: E402
from tokenexit.files import to_json, write_text  # noqa: E402

NEVER = {"name": "never"}


def evaluated(case: Case, model: Path, data: Path, policy: str | None = None) -> dict[str, Any]:
    """Command, commit and figures of a run.

    Raises:
        UserError: ``tokenexit evaluate`` failed.
    """
    flags = [*case.options, "--split", "test", "--precision", "int8"]
    flags += [] if policy is None else ["--policy", policy]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        command = [str(model), "--data", str(data), *flags, "--json", str(out)]
        done = subprocess.run(
            [sys.executable, "-m", "tokenexit", "evaluate", *command],
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        if done.returncode:
            raise UserError(f"{model.name}: {done.stderr.strip().splitlines()[-1]}")
        found = json.loads(out.read_text(encoding="utf-8"))
    shown = " ".join(["tokenexit evaluate", model.name, "--data", case.data, *flags])
    return {"command": shown, "commit": commit(), "result": _figures(found)}


def _figures(found: dict[str, Any]) -> dict[str, Any]:
    """All but lists, of words and layers, that nobody shows."""
    return {key: value for key, value in found.items() if not isinstance(value, list)}


def wanted(models: Path) -> dict[str, tuple[Case, Path, str | None]]:
    """By name: a case, its run folder, and the policy to put in the place of its own."""
    found: dict[str, tuple[Case, Path, str | None]] = {}
    for case in cases():
        if case.precision == "int8" and case.kernels == "auto" and case.threads == 1:
            folder = folder_of(case, models)
            found[folder.name] = (case, folder, None)
            if not _stays(models / case.model):
                found[f"{case.model}, never"] = (case, models / case.model, "never")
    return found


def _stays(folder: Path) -> bool:
    """Whether a run's own policy lets nobody leave, so that it need not be told to."""
    settings = folder / "exit_config.json"
    return settings.is_file() and json.loads(settings.read_text("utf-8"))["policy"] == NEVER


def main(argv: Sequence[str]) -> None:
    """Evaluate what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, required=True, help="folder of run folders")
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument("--out", type=Path, required=True, help="file of results")
    parser.add_argument("--again", nargs="*", default=[], help="names to evaluate once more")
    given = parser.parse_args(argv)
    known = json.loads(given.out.read_text(encoding="utf-8")) if given.out.is_file() else {}
    runs = wanted(given.models)
    strange = set(given.again) - runs.keys()
    if strange:
        raise UserError(f"--again names {sorted(strange)}; there are {sorted(runs)}.")
    for name, (case, model, policy) in runs.items():
        data = given.data / case.data
        absent = [str(path) for path in (model, data) if not path.exists()]
        if absent:
            print(f"{name}: skipped: there is no {' and no '.join(absent)}")
            continue
        if name not in known or name in given.again:
            known[name] = evaluated(case, model, data, policy)
            write_text(given.out, to_json(known, indent=1) + "\n")
        result = known[name]["result"]
        print(f"{name}: {result['quality']:.4f}, kept {result['relative_quality']:.4f}", flush=True)


if __name__ == "__main__":
    with friendly_errors():
        main(sys.argv[1:])
