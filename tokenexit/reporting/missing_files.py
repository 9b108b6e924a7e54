"""Files that are missing, and the command that makes each."""

from __future__ import annotations

from dataclasses import dataclass

from tokenexit.reporting.run import (
    CALIBRATION,
    LOG,
    METRICS,
    PARETO,
    SETTINGS,
    TRACE,
    RunData,
)

BENCH = "bench.json"


@dataclass(frozen=True)
class MissingFile:
    """A missing file and its remedy."""

    file: str
    command: str


def missing_files(run: RunData) -> dict[str, MissingFile]:
    """Missing files by name."""
    task = run.task or (run.exits or {}).get("task") or "ner"
    again = f"tokenexit train {task} RUN/config.yaml resume=true"
    calibrate = "tokenexit calibrate RUN --data DATA --split validation --min-quality 0.99"
    if run.generates:
        calibrate = again
    makes = {CALIBRATION: calibrate, BENCH: f"tokenexit bench RUN --json RUN/{BENCH}"}
    held = {
        METRICS: run.metrics,
        PARETO: run.pareto,
        TRACE: run.generated_trace if run.generates else run.words,
        LOG: run.log,
        CALIBRATION: run.calibration,
        SETTINGS: run.settings,
        BENCH: run.benches or None,
    }
    return {
        name: MissingFile(name, makes.get(name, again))
        for name, data in held.items()
        if data is None
    }
