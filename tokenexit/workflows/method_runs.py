"""Which runs a comparison of methods consists of, and which of them share one training."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tokenexit.config import dump_config
from tokenexit.errors import UserError
from tokenexit.methods import METHODS
from tokenexit.registry import load_plugin
from tokenexit.reporting.comparison import FINE_TUNING, STATIC
from tokenexit.training.checkpoint import complete, remove_checkpoints
from tokenexit.workflows.compare_methods_config import CompareMethodsConfig
from tokenexit.workflows.config import ClassificationConfig, TaggingConfig
from tokenexit.workflows.folder import check_run, open_run, run_folder
from tokenexit.workflows.lock import locked
from tokenexit.workflows.method import load_with_method
from tokenexit.workflows.ours import CHECKPOINTS, CLEARING, CONFIG, clear, is_run, stages
from tokenexit.workflows.same_run import with_whole_paths

BASELINES = (FINE_TUNING, STATIC)
"""Always among the methods."""

_SHARED = (
    "data", "data_name", "model", "exit_layers", "batch_size", "validate_on", "test_on", "threads",
    "plugins",
)  # fmt: skip
_OF_LEVEL = {
    "sentence": ("column", "pair_column", "label_column"),
    "token": ("column", "task", "convert_tags"),
}
_BUDGET = ("epochs", "max_steps", "batch_size")
_METHODS_OWN = ("objective", "gradient_equilibrium")
_NOT_OF_TRAINING = (
    "output_dir", "method", "calibrate", "policy", "decode", "batch_size", "threads", "plugins",
    "resume", "overwrite",
)  # fmt: skip


@dataclass(frozen=True)
class MethodRun:
    """One method with one seed.

    Attributes:
        method: Its name.
        seed: Of everything random.
        config: Of the run; None if the method cannot be run.
        error: Why not.
    """

    method: str
    seed: int
    config: Any = None
    error: str = ""

    @property
    def name(self) -> str:
        """Of the run and of its folder."""
        return f"{self.method}-seed{self.seed}"

    @property
    def folder(self) -> Path:
        """Where it goes."""
        return Path(self.config.output_dir)

    @property
    def finished(self) -> bool:
        """Whether it is trained, calibrated and evaluated."""
        return self.config is not None and (self.folder / "metrics.json").is_file()

    @property
    def training(self) -> str:
        """All that decides what is learned; runs that agree in it learn the same."""
        settings = dump_config(self.config)
        return json.dumps(
            {key: value for key, value in settings.items() if key not in _NOT_OF_TRAINING},
            sort_keys=True,
        )


def plan(config: CompareMethodsConfig) -> list[MethodRun]:
    """The runs of a comparison, baselines first.

    A method that has no form at the level is a run with an error.

    Raises:
        UserError: Unknown method; the message names the nearest one.
    """
    for plugin in config.plugins:
        load_plugin(plugin)
    wanted = config.wanted
    names = [name for name, _ in METHODS.items()] if wanted is None else wanted
    for name in names:
        METHODS.get(name)
    names = list(dict.fromkeys([*BASELINES, *names]))
    return [_run(config, name, seed) for seed in config.seeds for name in names]


def _run(config: CompareMethodsConfig, method: str, seed: int) -> MethodRun:
    run = MethodRun(method, seed)
    schema = ClassificationConfig if config.level == "sentence" else TaggingConfig
    settings = dump_config(config)
    train = {k: v for k, v in settings["train"].items() if k not in _METHODS_OWN}
    below = {
        **{key: settings[key] for key in (*_SHARED, *_OF_LEVEL[config.level])},
        "output_dir": str(Path(config.output_dir) / run.name),
        "train": train,
        "calibrate": settings["calibrate"],
        "seed": seed,
        "resume": True,
    }
    # Presets lie above these settings, except for what is the protocol's: everybody has the same.
    fixed = [f"train.{key}={json.dumps(train[key])}" for key in _BUDGET]
    if config.pool is not None:
        fixed.append(f"heads.pool={config.pool}")
    try:
        made = load_with_method(schema, [f"method={method}", *fixed], below, config.level)
    except UserError as error:
        return replace(run, error=str(error))
    return replace(run, config=with_whole_paths(made))


def adopt_training(run: MethodRun, runs: list[MethodRun]) -> str | None:
    """Give a run the training of a finished one that learned the same.

    The run then looks as if it had been interrupted between training and calibration, and is
    resumed there.

    Returns:
        The name of the run the training is from, if there is one.
    """
    if (run.folder / CONFIG).is_file() and not (run.folder / CLEARING).is_file():
        return None
    for other in runs:
        if other.finished and other != run and other.training == run.training:
            source = other.folder / CHECKPOINTS
            if complete(source):
                with run_folder(run.config):
                    open_run(run.config)  # what a kill left is begun again
                    (run.folder / CLEARING).touch()
                    shutil.copytree(source, run.folder / CHECKPOINTS, copy_function=_link)
                    shutil.copy2(other.folder / "train_log.jsonl", run.folder)
                    (run.folder / CLEARING).unlink()
                return other.name
    return None


def _link(source: str, target: str) -> None:
    # Checkpoints are replaced, never rewritten, so two runs may hold one file.
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def make_room(run: MethodRun) -> None:
    """Clear a failed run that cannot be gone on with, so that it starts anew.

    Raises:
        UserError: Something else is there, or another process writes there.
    """
    with locked(run.folder):
        try:
            check_run(run.config)
        except UserError:
            if not is_run(run.folder):
                raise
            clear(run.folder)


def drop_checkpoints(runs: list[MethodRun], settled: set[str]) -> None:
    """Remove trainer states that no run of the comparison can still need.

    Args:
        runs: All of them.
        settled: Names of those that are done.
    """
    for run in runs:
        if run.finished and all(
            other.name in settled
            for other in runs
            if other.config is not None and other.training == run.training
        ):
            for place in (run.folder, *stages(run.folder)):
                remove_checkpoints(place / CHECKPOINTS)
