"""Which files of a folder are a run's or a model's, and how they are cleared away.

What a kill leaves is never taken for a model or for a run: what makes the folder loadable goes
first, what a run would be resumed from next.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from tokenexit.config import from_yaml
from tokenexit.files import clear_partials, sync, writing
from tokenexit.models.folders.names import MARKERS, of_a_model
from tokenexit.training.checkpoint import complete, remove_checkpoints, remove_if_empty

CONFIG = "config.yaml"
CHECKPOINTS = "checkpoints"
CLEARING = ".clearing"
"""Stands in a folder whose run is being cleared away."""
_RESULTS = (
    "metrics.json", "seeds.json", "calibration.json", "reducer.json", "cost_model.json",
    "pareto.csv", "report.html", "train_log.jsonl", "measured.json", "trained_by.json",
    "traces/validation.parquet", "traces/test.parquet", "traces/settings.parquet",
    "bench.json", "bench-[0-9]*.json",
    "certificate.json", "traces/certificate.parquet",
    *(f"figures/{name}.*" for name in ("curve", "exits", "reliability")),
)  # fmt: skip
STAGES = ("stage-[0-9]*", "seed-[0-9]*")


def ours(run: Path) -> Iterator[Path]:
    """Files of a run and its model that are there, but for its settings and checkpoints."""
    for pattern in _RESULTS:
        yield from sorted(run.glob(pattern))
    if run.is_dir():
        yield from sorted(path for path in run.iterdir() if of_a_model(path.name))


def stages(run: Path) -> list[Path]:
    """Folders of the models of a cascade, or of the runs of several seeds."""
    found = sorted(path for pattern in STAGES for path in run.glob(pattern))
    return [path for path in found if path.is_dir() and is_run(path)]


def is_run(run: Path) -> bool:
    """Whether a folder holds a run or its model, so that files of the usual names are its own."""
    if any((run / name).is_file() for name in (*MARKERS, CLEARING)):
        return True
    return bool(complete(run / CHECKPOINTS)) or _settings_of_a_run(run / CONFIG)


def clear(run: Path) -> None:
    """Remove a run and its model from a folder; other files stay.

    Afterwards ``CLEARING`` is there, and ``CONFIG`` if it was, for who puts a new run there.
    """
    with writing(run):
        places = [run]
        for place in places:
            places += stages(place)
            (place / CLEARING).touch()
        for place in places:
            for name in MARKERS:
                (place / name).unlink(missing_ok=True)
            sync(place)
        for place in reversed(places):
            _clear_one(place)
            if place != run:
                (place / CONFIG).unlink(missing_ok=True)
                (place / CLEARING).unlink(missing_ok=True)
                remove_if_empty(place)


def _clear_one(run: Path) -> None:
    remove_checkpoints(run / CHECKPOINTS)
    for path in ours(run):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)  # a tokenizer's templates
        else:
            path.unlink()
    clear_partials(run)
    for name in ("traces", "figures"):
        remove_if_empty(run / name)


def _settings_of_a_run(path: Path) -> bool:
    try:
        held = from_yaml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, ValueError):
        return False
    return isinstance(held, dict) and {"output_dir", "train", "seed"} <= held.keys()
