"""Where progress is written: a JSONL file always, trackers through Accelerate when asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenexit.errors import UserError
from tokenexit.files import to_json, write_text, writing

if TYPE_CHECKING:
    from accelerate import Accelerator


def check_trackers(names: Sequence[str]) -> None:
    """Refuse a tracker that is not installed; Accelerate alone would only warn.

    Raises:
        UserError: One of ``names`` is not available.
    """
    from accelerate.tracking import get_available_trackers

    available = sorted(str(tracker.value) for tracker in get_available_trackers())
    for name in names:
        if name not in available:
            known = ", ".join(available) or "none"
            raise UserError(
                f"Tracker {name!r} is not installed; installed are: {known}"
                f". Install it (pip install {name}) or leave it out of train.trackers: the run is "
                "logged to train_log.jsonl in any case."
            )


class TrainLog:
    """Appends entries to ``train_log.jsonl`` and passes numbers on to the trackers.

    Args:
        path: The JSONL file.
        accelerator: Its trackers, and which process writes.
        resume_step: Entries after this step, left by an interrupted run, are removed.
    """

    def __init__(self, path: Path, accelerator: Accelerator, resume_step: int = 0) -> None:
        self._path, self._accelerator = path, accelerator
        if accelerator.is_main_process:
            kept = [e for e in read_log(path) if e["step"] <= resume_step] if resume_step else []
            write_text(path, "".join(to_json(e) + "\n" for e in kept))

    def write(self, step: int, entry: dict[str, Any]) -> None:
        """Add one entry (on the main process only)."""
        if self._accelerator.is_main_process:
            with writing(self._path), self._path.open("a", encoding="utf-8") as file:
                file.write(to_json({"step": step, **entry}) + "\n")
        numbers = {k: v for k, v in entry.items() if isinstance(v, int | float)}
        self._accelerator.log(numbers, step=step)


def read_log(path: Path) -> list[dict[str, Any]]:
    """Entries of a log; a last line cut off by a kill is left out.

    Raises:
        UserError: It is damaged before its last line.
    """
    lines = path.read_bytes().splitlines() if path.is_file() else []
    entries = []
    for number, line in enumerate(lines, start=1):
        entry = _entry(line)
        if entry is not None:
            entries.append(entry)
        elif number < len(lines):
            raise UserError(
                f"{path}, line {number}, is damaged. Put the file back; or remove it, and the run "
                "goes on with a new log."
            )
    return entries


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line.decode())
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("step"), int) else None
