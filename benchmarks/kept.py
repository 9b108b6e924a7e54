"""The file of results that a run of measurements goes on with."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tokenexit.errors import UserError
from tokenexit.evaluation.bench.machine import what_ran
from tokenexit.files import to_json, write_text

ROOT = Path(__file__).resolve().parent.parent

GUESS = 45.0
"""Seconds a case is taken for until one has been measured."""


def commit() -> str:
    """The commit that is measured, with a mark where files differ from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "tokenexit")
    return (git("rev-parse", "HEAD") or "unknown") + ("+changed" if changed else "")


def machine() -> dict[str, Any]:
    """What must be the same in one file."""
    told = what_ran()
    return {key: told[key] for key in ("processor", "cores", "system")}


class Results:
    """The file: read when made, written after each measurement.

    Args:
        path: Where it is, or will be.
        machine: What must be the same in one file.
        commit: What is measured.
        order: Names of cases, as they are written.
        guess: Seconds a case is taken for until one has been measured.

    Raises:
        UserError: It is of another machine, or no such file.
    """

    def __init__(
        self,
        path: Path,
        machine: Mapping[str, Any],
        commit: str,
        order: Sequence[str],
        guess: float = GUESS,
    ) -> None:
        self.path, self.machine, self.commit = path, dict(machine), commit
        self._order = {name: place for place, name in enumerate(order)}
        self._guess = guess
        self.measured: dict[str, dict[str, Any]] = {}
        if not path.is_file():
            return
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            self.measured = {one["case"]: one for one in told["measured"]}
            other = told["machine"]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is no file of this script ({error}); give another.") from error
        if other != self.machine:
            raise UserError(f"{path} is of another machine, {other}; give another --out.")

    def has(self, case: Any) -> bool:
        """Whether a case was measured as it would be now."""
        found = self.measured.get(case.name)
        wanted = {"settings": json.loads(json.dumps(asdict(case))), "commit": self.commit}
        return found is not None and all(found[key] == value for key, value in wanted.items())

    def add(self, case: Any, command: Sequence[str], seconds: float, result: Any) -> None:
        """Write one more."""
        self.measured[case.name] = {
            "case": case.name,
            "settings": asdict(case),
            "command": " ".join(command),
            "commit": self.commit,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(seconds, 1),
            "result": result,
        }
        last = len(self._order)
        found = sorted(self.measured.values(), key=lambda one: self._order.get(one["case"], last))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_text(
            self.path, to_json({"machine": self.machine, "measured": found}, indent=1) + "\n"
        )

    def expected(self) -> float:
        """Seconds that a case takes, on average so far."""
        taken = [one["seconds"] for one in self.measured.values()]
        return sum(taken) / len(taken) if taken else self._guess
