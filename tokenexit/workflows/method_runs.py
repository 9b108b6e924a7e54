"""Which runs a comparison of methods consists of, and which of them share one training."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from tokenexit.config import dump_config, load_config
from tokenexit.errors import UserError
from tokenexit.methods import METHODS, settings_of
from tokenexit.reporting.comparison import FINE_TUNING, STATIC
from tokenexit.tasks import task_named
from tokenexit.training.checkpoint import complete, remove_checkpoints
from tokenexit.workflows.compare_methods_config import CompareMethodsConfig
from tokenexit.workflows.folder import check_run, open_run, run_folder
from tokenexit.workflows.lock import locked
from tokenexit.workflows.method import load_with_method, merged
from tokenexit.workflows.ours import CHECKPOINTS, CLEARING, CONFIG, clear, is_run, stages
from tokenexit.workflows.same_run import with_whole_paths
from tokenexit.workflows.trainings import Training, read_trainings

BASELINES = (FINE_TUNING, STATIC)
"""Always among the methods."""

OWN = "own"
"""Where a training is from that is no published method."""

_BUDGET = ("epochs", "max_steps", "batch_size")
_METHODS_OWN = (
    "objective", "gradient_equilibrium", "phases", "freeze", "teacher", "split", "splits",
    "prepare",
)  # fmt: skip
_SET_APART = ("output_dir", "train", "seeds", "recipe")
_NOT_OF_TRAINING = (
    "output_dir", "method", "calibrate", "policy", "decode", "batch_size", "threads", "plugins",
    "resume", "overwrite", "context_gate",
)  # fmt: skip
_UNUSUAL = r"[^\w.+=-]+"
"""Characters that the name of a folder had better not have."""


@dataclass(frozen=True)
class MethodRun:
    """One method or training with one seed.

    Attributes:
        method: Its name.
        seed: Of everything random.
        paper: Where it is from.
        config: Of the run; None if the method cannot be run.
        error: Why not.
        curve: Of which method or training its points draw the curve; its own where empty.
    """

    method: str
    seed: int
    paper: str = OWN
    config: Any = None
    error: str = ""
    curve: str = ""

    @property
    def name(self) -> str:
        """Of the run and of its folder."""
        return f"{re.sub(_UNUSUAL, '-', self.method).strip('-')}-seed{self.seed}"

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

    A method that has no form for what leaves is a run with an error.

    Raises:
        UserError: Unknown method or part of a training, with the nearest name; a key that has no
            meaning for the task; or a training that the recipe cannot be told.
    """
    _check_keys(config)
    wanted = config.wanted
    names = [name for name, _ in METHODS.items()] if wanted is None else wanted
    for name in names:
        METHODS.get(name)
    names = list(dict.fromkeys([*BASELINES, *names]))
    trainings = read_trainings(config.trainings, config.trains.schema)
    runs = [
        run
        for seed in config.seeds
        for run in [
            *(_of_method(config, name, seed) for name in names),
            *(_of_training(config, training, seed) for training in trainings),
        ]
    ]
    _check_names(runs)
    return runs


def _check_names(runs: list[MethodRun]) -> None:
    known: dict[str, MethodRun] = {}
    for run in runs:
        other = known.setdefault(run.name.casefold(), run)
        if other is not run:
            raise UserError(
                f"{other.method!r} and {run.method!r} would share the folder {run.name}; call one "
                "of them something else."
            )


def _check_keys(config: CompareMethodsConfig) -> None:
    known = {field.name for field in fields(config.trains.schema)}
    for name in ("column", "pair_column", "convert_tags"):
        if getattr(config, name) and name not in known:
            raise UserError(f"{name} has no meaning for {config.task}; leave it out.")


def _of_method(config: CompareMethodsConfig, method: str, seed: int) -> MethodRun:
    run = MethodRun(method, seed, METHODS.get(method).paper)
    below, fixed = _protocol(config, run)
    try:
        made = load_with_method(config.trains.schema, [f"method={method}", *fixed], below)
    except UserError as error:
        return replace(run, error=str(error))
    return replace(run, config=with_whole_paths(made))


def _of_training(config: CompareMethodsConfig, training: Training, seed: int) -> MethodRun:
    run = MethodRun(training.name, seed, curve=training.curve)
    below, fixed = _protocol(config, run)
    settings = training.settings
    try:
        if isinstance(method := settings.get("method"), str):
            settings = merged(
                settings_of(method, task_named(str(config.task)).policy_unit), settings
            )
        load_config(config.trains.schema, ["output_dir=."], settings)
        made = load_config(config.trains.schema, fixed, merged(below, settings))
    except UserError as error:
        raise UserError(f"The training {training.name!r} cannot be used: {error}") from error
    return replace(run, config=with_whole_paths(made))


def _protocol(config: CompareMethodsConfig, run: MethodRun) -> tuple[dict[str, Any], list[str]]:
    """What a recipe is told whatever is compared: beneath a method's settings, and above them."""
    settings = dump_config(config)
    train = {k: v for k, v in settings["train"].items() if k not in _METHODS_OWN}
    known = {field.name for field in fields(config.trains.schema)} - {*_SET_APART}
    below = {
        **{key: settings[key] for key in known & settings.keys() if settings[key] is not None},
        **settings["recipe"],
        "output_dir": str(Path(config.output_dir) / run.name),
        "train": train,
        "seed": run.seed,
        "resume": True,
    }
    # Presets lie above these settings, except for what is the protocol's: everybody has the same.
    fixed = [f"train.{key}={json.dumps(train[key])}" for key in _BUDGET]
    if config.pool is not None:
        fixed.append(f"heads.pool={config.pool}")
    return below, fixed


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
