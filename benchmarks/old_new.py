"""A command before and after a change, alternately: is it any slower?

    python benchmarks/old_new.py --old COMMIT -- evaluate runs/ewt --data DATA/uner_en_ewt
    python benchmarks/old_new.py --old COMMIT --repeats 5 -- bench runs/ewt --data ... --limit 200

The old commit is checked out into a folder of its own, gone afterwards. Each run is a process of
its own, whose start is timed as well with a run of ``tokenexit policies`` and taken off. Said are
the seconds of each and the ratio of the least, the one that the rest of the machine disturbed
least.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tokenexit.config import friendly_errors  # noqa: E402
from tokenexit.errors import UserError  # noqa: E402


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """A folder with the files of a commit.

    Raises:
        UserError: There is no such commit.
    """
    with tempfile.TemporaryDirectory(prefix="tokenexit-old-") as folder:
        place = Path(folder) / "old"
        add = ["git", "worktree", "add", "--detach", str(place), commit]
        done = subprocess.run(add, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise UserError(f"There is no commit {commit!r} to compare with: {done.stderr.strip()}")
        try:
            yield place
        finally:
            remove = ["git", "worktree", "remove", "--force", str(place)]
            subprocess.run(remove, cwd=ROOT, capture_output=True)


def seconds(place: Path, command: Sequence[str]) -> float:
    """Time of one command with the package of a folder.

    Raises:
        UserError: It fails; says how.
    """
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "tokenexit", *command],
        env={**os.environ, "PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
    )
    spent = time.perf_counter() - start
    if done.returncode:
        raise UserError(f"{place}: tokenexit {' '.join(command)} failed: {done.stderr.strip()}")
    return spent


def compare(old: Path, new: Path, command: Sequence[str], repeats: int) -> dict[str, list[float]]:
    """Seconds of each run, the start of a process taken off; who goes first changes."""
    places = {"old": old, "new": new}
    start = {name: min(seconds(p, ["policies"]) for _ in "12") for name, p in places.items()}
    found: dict[str, list[float]] = {name: [] for name in places}
    for number in range(repeats):
        for name in list(places)[:: 1 if number % 2 else -1]:
            found[name].append(max(seconds(places[name], command) - start[name], 1e-3))
    return found


def main(argv: Sequence[str]) -> None:
    """Compare and say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--old", required=True, help="commit to compare with")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each")
    parser.add_argument("command", nargs="+", help="-- and a command of tokenexit")
    given = parser.parse_args(argv)
    with checkout(given.old) as old:
        found = compare(old, ROOT, given.command, given.repeats)
    for name, spent in found.items():
        print(f"{name}: {', '.join(f'{one:.2f}' for one in spent)} s")
    print(f"new over old, least of each: {min(found['new']) / min(found['old']):.3f}")


if __name__ == "__main__":
    with friendly_errors():
        main(sys.argv[1:])
