"""Train a model that is in memory, on data in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tokenexit.data.memory import ORIGIN, in_memory
from tokenexit.data.pairs import PairSplit
from tokenexit.data.tagged import TaggedSplit, with_validation
from tokenexit.errors import UserError, unknown_name
from tokenexit.models.settings import task_of
from tokenexit.tasks import TASKS, LabelledTask
from tokenexit.training import check_training, make_accelerator
from tokenexit.workflows.choosing import choose_policy
from tokenexit.workflows.logs import quiet
from tokenexit.workflows.method import load_with_method
from tokenexit.workflows.plain import plain
from tokenexit.workflows.recipes import RECIPES, Recipe
from tokenexit.workflows.record import training_record
from tokenexit.workflows.run import taught

SETTINGS = (
    "train", "calibrate", "policy", "context_gate", "metric", "batch_size", "train_on",
    "validate_on", "threads", "seed", "plugins", "column", "pair_column", "label_column",
    "convert_tags", "lang", "source_column", "target_column", "max_source", "max_target",
)  # fmt: skip
"""Keys of a run that say how a model learns and how its data is read; not what it is."""


def fit(model: Any, train: Any, validation: Any = None, /, **settings: Any) -> Any:
    """Train a model with exits, and choose its policy; nothing is written.

    ::

        model = ExitModelForTokenClassification.from_transformers(backbone, tokenizer, labels)
        tokenexit.fit(model, rows, held_out, train={"epochs": 3, "lr": 5e-5})

    Args:
        model: A tagger, a text classifier or a text generator, from ``from_transformers`` or
            ``from_pretrained``. It learns in place.
        train: Lists of dictionaries, a data frame, a ``datasets.Dataset``, or splits by name as a
            ``DatasetDict``; columns are those of the recipes (``tokens`` and ``ner_tags``,
            ``sentence`` and ``label``, ``source`` and ``target``).
        validation: The same, to choose weights and policy by. Of taggers and classifiers a tenth
            of the training texts when None.
        settings: Keys of the task's configuration that say how to learn (``train``,
            ``calibrate``, ``policy``, ``context_gate``, ``metric``, ``batch_size``, ``seed``) or
            how to read (``column``, ``label_column``, ``source_column``); groups are mappings.

    Returns:
        The model.

    Raises:
        UserError: Anything wrong with the settings, the data or the model.
    """
    if not hasattr(model, "settings") or hasattr(model, "stages"):
        raise UserError(
            f"A model with exits is fitted, not {type(model).__name__}; of a cascade fit each "
            "model of its own."
        )
    for name in settings:
        if name not in SETTINGS:
            raise unknown_name("setting of fit", name, SETTINGS)
    task = type(task_of(model.settings))  # of a generator's own task, the class that serves it
    kind = next(recipe for recipe in RECIPES.values() if recipe.unit == task.unit)
    with TemporaryDirectory() as folder:
        told = [f"{name}={json.dumps(plain(name, value))}" for name, value in settings.items()]
        below = {"task": TASKS.name_of(task), "output_dir": folder, "data": ORIGIN}
        recipe = kind(load_with_method(kind.schema, told, below))
        return _fitted(recipe, model, train, validation)


def _fitted(recipe: Recipe, model: Any, train: Any, validation: Any) -> Any:
    config, folder = recipe.config, Path(recipe.config.output_dir)
    policy, families = recipe.prepare()
    splits = _splits(recipe, train, validation)
    task = recipe.task
    if isinstance(task, LabelledTask):
        for split in splits.values():
            task.check_answers(split, model.labels, "error")
    accelerator = make_accelerator(config.train, folder)
    quiet(accelerator)
    before: Mapping[str, Any] = model.settings.training or {}
    if config.metric is not None:
        model.configure(metric=config.metric)
    check_training(config.train, evaluated=True)
    from accelerate.utils import set_seed

    set_seed(config.seed)
    held = taught(recipe, model, splits, policy, families, accelerator)
    record = training_record(config, held)
    model.configure(training={**record, "data": None, "model": before.get("model")})
    model.configure(policy=choose_policy(recipe, model, policy, True, held))
    recipe.decide(model, splits["train"])
    return model.eval()


def _are_splits(train: Any) -> bool:
    return isinstance(train, TaggedSplit | PairSplit)


def _splits(recipe: Recipe, train: Any, validation: Any) -> dict[str, Any]:
    """What is given, as the recipe reads it."""
    if not _are_splits(train):
        reading: Any = type(recipe)(replace(recipe.config, data=in_memory(train, validation)))
        return reading.read(Path(recipe.config.output_dir))
    if validation is None and isinstance(train, TaggedSplit):
        return with_validation({"train": train}, seed=recipe.config.seed)
    if validation is None:
        raise UserError("Give a validation split as well: fit(model, train, validation).")
    return {"train": train, "validation": validation}
