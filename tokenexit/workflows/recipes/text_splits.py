"""The texts of a classifier's run: some objectives learn from those without a label, too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tokenexit.data.groups import with_groups
from tokenexit.data.tagged import with_validation
from tokenexit.data.texts import TextSplit, read_texts
from tokenexit.errors import UserError
from tokenexit.objectives import OBJECTIVES
from tokenexit.tasks.texts import TextTask
from tokenexit.workflows.config import ClassificationConfig
from tokenexit.workflows.logs import logger


def read_text_splits(config: ClassificationConfig, task: TextTask, source: str) -> dict[str, Any]:
    """Read the data, hold texts out where there is no validation split, drop what nobody learns.

    Args:
        config: The run.
        task: Its task.
        source: File, folder or Hub id.

    Returns:
        Splits by name; training texts without a label come last, and only where the objective
        learns from them.

    Raises:
        UserError: The data cannot be read, or no training text has a label.
    """
    found: dict[str, Any] = read_texts(
        source,
        column=config.column,
        pair_column=config.pair_column,
        label_column=config.label_column,
        name=config.data_name,
        kind=task.split,
        unlabelled=True,
    )
    found = with_groups(found, source, config.group_column, config.data_name)
    name = "all" if set(found) == {"all"} else "train"
    train: TextSplit | None = found.get(name)
    bare = train.labelled(False) if train is not None else None
    if train is None or bare is None or not len(bare):
        return with_validation(found, seed=config.seed)
    if len(bare) == len(train):
        raise UserError(f"{train.origin}: no text has a label, so there is nothing to learn.")
    splits: dict[str, Any] = with_validation(
        {**found, name: train.labelled()}, seed=config.seed
    )  # what is held out has labels
    phases = config.train.each()
    if any(OBJECTIVES.get(str(phase.objective["name"])).unlabelled for phase in phases):
        known = splits["train"]
        splits["train"] = replace(
            known,
            tokens=[*known.tokens, *bare.tokens],
            tags=[*known.tags, *(bare.tags or [])],
            groups=None,
        )
    else:
        logger.warning(
            "%s: %d of %d texts have no label and are left out; %s.",
            train.origin, len(bare), len(train), _who_would(task),
        )  # fmt: skip
    return splits


def _who_would(task: TextTask) -> str:
    serving = [
        name
        for name, objective in OBJECTIVES.items()
        if objective.unlabelled and (objective.regression or task.countable)
    ]
    if not serving:
        return f"no objective for {task.name} learns from such texts"
    return f"of the objectives, {', '.join(serving)} would learn from them"
