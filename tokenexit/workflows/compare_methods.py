"""Methods against each other under one protocol, each with its whole trade-off.

Each method is trained, calibrated and run at several settings on the test split; methods that
learn the same share one training. One that fails is reported with its error and the others go
on. Every result is on disk as soon as it exists, and an interrupted comparison goes on where it
stopped.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tokenexit.errors import UserError
from tokenexit.files import write_json
from tokenexit.models.folders import load_tokenizer
from tokenexit.registry import load_plugin
from tokenexit.reporting.comparison import summaries
from tokenexit.reporting.comparison_files import write_comparison
from tokenexit.results import lower_is_better
from tokenexit.workflows.compare_methods_config import CompareMethodsConfig
from tokenexit.workflows.comparison import comparison, refuse_others, settle, without_fail
from tokenexit.workflows.folder import Demo, generated
from tokenexit.workflows.logs import logger
from tokenexit.workflows.method_curve import measure
from tokenexit.workflows.method_runs import (
    MethodRun,
    adopt_training,
    drop_checkpoints,
    make_room,
    plan,
)
from tokenexit.workflows.run import run_task
from tokenexit.workflows.same_run import read_record, whole_path, with_whole_paths
from tokenexit.workflows.side_by_side import side_by_side


def compare_methods(
    config: CompareMethodsConfig, command: str = "", demo: Demo | None = None
) -> Path:
    """Run the comparison.

    Args:
        config: The comparison.
        command: What the user typed, for the record.
        demo: Writes generated data for a task into a folder; used when no data is given.

    Returns:
        The table, ``README.md`` in the output folder, beside ``comparison.json``,
        ``comparison.csv``, ``curves.csv`` and ``comparison.svg``.

    Raises:
        UserError: Unknown method, unreadable data or model, or a comparison with other settings
            in the folder.
    """
    with comparison(config.output_dir, config.threads, config.train.precision):
        return _compare(with_whole_paths(config), command, demo)


def _compare(config: CompareMethodsConfig, command: str, demo: Demo | None) -> Path:
    folder = Path(config.output_dir)
    runs = plan(_with_data(config, folder, demo))
    splits = _read_all(config, runs)
    trainings = {run.training for run in runs if run.config is not None}
    logger.info("%d runs, which learn %d different things", len(runs), len(trainings))
    record = _Record(folder / "comparison.json", config, command)
    waiting = [run for run in runs if _to_do(record.runs.get(run.name), config)]
    for run in waiting:
        if "error" in record.runs.get(run.name, {}) and run.config is not None and not run.finished:
            make_room(run)
    for run, found in _results(waiting, runs, config, splits):
        record.add(run, found)
    if not config.keep_checkpoints:
        drop_checkpoints(runs, {name for name, one in record.runs.items() if "error" not in one})
    table = write_comparison(folder, record.content)
    logger.info("%s", table.read_text(encoding="utf-8"))
    return table


class _Record:
    """``comparison.json``: everything known so far."""

    def __init__(self, path: Path, config: CompareMethodsConfig, command: str) -> None:
        self.path, self.reference = path, config.elue_reference
        self.content: dict[str, Any] = {
            "command": command,
            "settings": json.loads(json.dumps(config.protocol())),
            "runs": {},
        }
        if path.is_file():
            held = read_record(path)
            refuse_others(path, held["settings"], self.content["settings"], _completed)
            earlier = {"command": held.get("command", "")}
            self.content["runs"] = {name: earlier | one for name, one in held["runs"].items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        self.save()

    @property
    def runs(self) -> dict[str, Any]:
        """What is known of each run."""
        return self.content["runs"]

    def add(self, run: MethodRun, found: dict[str, Any]) -> None:
        """Keep a result, and bring the table and the figure up to date."""
        about = {"method": run.method, "seed": run.seed, "paper": run.paper}
        about["command"] = self.content["command"]
        about |= {"curve": run.curve} if run.curve else {}
        self.runs[run.name] = {**about, **found}
        self.save()
        write_comparison(self.path.parent, self.content)
        logger.info("%s: %s", run.name, found.get("error", "done"))

    def save(self) -> None:
        """Write everything known so far."""
        self.content["summary"] = summaries(self.runs, self.reference)
        write_json(self.path, self.content)


def _completed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of an older version: keys it did not know had what is now their default."""
    if settings.get("level") == "sentence":
        settings = {**settings, "task": "classification"}  # said ner, which had no meaning
    default = CompareMethodsConfig(output_dir="").protocol()
    groups = {name: {**default[name], **settings.get(name, {})} for name in ("train", "calibrate")}
    places = {name: whole_path(settings.get(name)) for name in ("model", "data")}
    return json.loads(json.dumps({**default, **settings, **groups, **places}))


def _to_do(held: dict[str, Any] | None, config: CompareMethodsConfig) -> bool:
    if held is None:
        return True
    if "error" in held:
        return config.retry
    return config.clock and held["clock"] is None


def _results(
    waiting: list[MethodRun],
    runs: list[MethodRun],
    config: CompareMethodsConfig,
    splits: dict[int, dict[str, Any]],
) -> Iterator[tuple[MethodRun, dict[str, Any]]]:
    if config.jobs > 1:
        startable = [run for run in waiting if run.config is not None]
        yield from ((run, {"error": run.error}) for run in waiting if run.config is None)
        yield from side_by_side(startable, config.jobs, _work, _begin, (config, runs))
        return
    for run in waiting:
        logger.info("%s", run.name)
        yield run, _one(run, runs, config, splits)
        gc.collect()  # a model and its optimiser refer to each other


_here: dict[str, Any] = {}
"""Of a process beside others: the comparison, its runs and its data."""


def _begin(config: CompareMethodsConfig, runs: list[MethodRun]) -> None:
    for plugin in config.plugins:
        load_plugin(plugin)
    settle(config.threads or 1, config.train.precision)
    _here.update(config=config, runs=runs, splits=_read_all(config, runs))


def _work(run: MethodRun) -> dict[str, Any]:
    found = _one(run, _here["runs"], _here["config"], _here["splits"])
    gc.collect()
    return found


def _one(
    run: MethodRun,
    runs: list[MethodRun],
    config: CompareMethodsConfig,
    splits: dict[int, dict[str, Any]],
) -> dict[str, Any]:
    """Train and measure one run; whatever goes wrong is its result."""
    if run.config is None:
        return {"error": run.error}
    return without_fail(lambda: _measured(run, runs, config, splits[run.seed]))


def _measured(
    run: MethodRun, runs: list[MethodRun], config: CompareMethodsConfig, splits: dict[str, Any]
) -> dict[str, Any]:
    if not run.finished:
        origin = adopt_training(run, runs)
        if origin is not None:
            logger.info("%s: takes the training of %s", run.name, origin)
            write_json(run.folder / "trained_by.json", origin)
        run_task(run.config)
    found = measure(run, config, splits)
    trained = run.folder / "trained_by.json"
    origin = read_record(trained) if trained.is_file() else run.name
    return {"trained_by": origin, **found}


def _with_data(
    config: CompareMethodsConfig, folder: Path, demo: Demo | None
) -> CompareMethodsConfig:
    """The configuration with generated data where none is given."""
    if config.data is not None or demo is None:
        return config
    return replace(config, data=whole_path(generated(folder, str(config.task), demo)))


def _read_all(config: CompareMethodsConfig, runs: list[MethodRun]) -> dict[int, dict[str, Any]]:
    """The data of each seed; a mistake in data or model shows here, not once a method."""
    first = {run.seed: run for run in reversed(runs) if run.config is not None}
    metric = config.recipe.get("metric")
    if isinstance(metric, str) and lower_is_better(metric):
        raise UserError(
            f"{metric} counts errors, and methods are compared by a quality of which more is "
            "better; choose another recipe.metric."
        )
    if isinstance(config.model, str):
        load_tokenizer(config.model, split_words=config.trains.of_words)
    return {seed: config.trains(run.config).read(run.folder) for seed, run in first.items()}
