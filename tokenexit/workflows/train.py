"""Train by the name of a task: what the command, the recipes and ``tokenexit.train`` do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tokenexit.config import from_yaml
from tokenexit.errors import UserError
from tokenexit.registry import load_plugin
from tokenexit.tasks import task_named
from tokenexit.workflows.method import load_with_method
from tokenexit.workflows.plain import plain
from tokenexit.workflows.recipes import recipe_for, trainable
from tokenexit.workflows.run import run_task

OWN = ("data=", "model=")
"""Arguments with which a run is not the demonstration."""


def is_own(arguments: Sequence[str]) -> bool:
    """Whether arguments say what to train on; a demonstration is run where they do not."""
    return any(a.startswith(OWN) or a.endswith((".yaml", ".yml")) for a in arguments)


def configured(task: str, arguments: Sequence[str]) -> Any:
    """The configuration of a run.

    Args:
        task: Such as ``ner``.
        arguments: A YAML file if there is one, then ``key=value``.

    Raises:
        UserError: No such task, or anything wrong with the arguments.
        SystemExit: After printing the keys, where ``--help`` is among them.
    """
    if task not in trainable():
        for plugin in plugins_of(arguments):  # one of them may bring it
            load_plugin(plugin)
    recipe = recipe_for(task)
    defaults = {"task": task, "output_dir": f"runs/{task}-demo"}
    own = is_own(arguments)
    defaults |= recipe.usual(task) if own else recipe.demo_settings
    config = load_with_method(recipe.schema, arguments, defaults)
    asked = config.calibrate.asked or config.policy or config.calibrate.loose
    share = task_named(task).demo_share
    if own or asked or share is None:
        return config
    return replace(config, calibrate=replace(config.calibrate, min_quality=share))


def plugins_of(arguments: Sequence[str]) -> list[str]:
    """Plug-ins that arguments name, before it is known what else they may say.

    Raises:
        UserError: An unreadable file, or plug-ins that are no list.
    """
    found: Any = None
    for item in arguments:
        name, _, value = item.partition("=")
        if name == "plugins":
            found = from_yaml(value, f"The value of {item}")
        elif item.endswith((".yaml", ".yml")) and Path(item).is_file():
            settings = from_yaml(Path(item).read_text(encoding="utf-8", errors="replace"), item)
            found = settings.get("plugins") if isinstance(settings, Mapping) else found
    if not isinstance(found or [], list):
        raise UserError(f"plugins must be a list such as [my_task.py], not {found!r}.")
    return [str(plugin) for plugin in found or []]


def train_task(task: str, arguments: Sequence[str]) -> Path:
    """Train, calibrate, evaluate and report; the run folder.

    Args:
        task: Such as ``ner``.
        arguments: As ``configured`` takes them.

    Raises:
        UserError: Anything wrong with the configuration, the data or the model.
    """
    return run_task(configured(task, arguments), demo=write_demo)


def write_demo(folder: Path, task: str) -> None:
    """Write a task's generated corpus into a folder."""
    task_named(task).write_demo(folder)


def train(task: str, **settings: Any) -> Any:
    """Train a model with exits, calibrate, evaluate and report it.

    ``train("ner", data="FOLDER", output_dir="runs/mine", train={"epochs": 2})`` is what
    ``tokenexit train ner data=FOLDER output_dir=runs/mine train.epochs=2`` does.

    Args:
        task: A name of ``tokenexit.tasks.TASKS``, such as ``ner``, or one that a plug-in brings.
        settings: Keys of the task's configuration; groups are mappings.

    Returns:
        The trained model, as loaded from its run folder.

    Raises:
        UserError: Anything wrong with the settings, the data or the model.
    """
    from tokenexit.workflows.commands import open_model

    if "config" in settings:
        raise UserError("Give the keys themselves: train(task, **settings).")
    run = train_task(task, [f"{key}={json.dumps(plain(key, settings[key]))}" for key in settings])
    return open_model(str(run)).model
