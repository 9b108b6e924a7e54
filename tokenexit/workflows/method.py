"""A recipe's configuration, with a published method for its defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from tokenexit.config import load_config
from tokenexit.errors import UserError
from tokenexit.methods import settings_of
from tokenexit.registry import load_plugin
from tokenexit.tasks import task_named

T = TypeVar("T")


def load_with_method(schema: type[T], argv: Sequence[str], defaults: Mapping[str, Any]) -> T:
    """As ``load_config``, with what the task and the method set.

    What is usual for the task lies below ``defaults``; what ``method`` sets above them and below
    the user's own.

    Args:
        schema: A recipe's configuration, with a key ``method``.
        argv: Arguments.
        defaults: Of the recipe.

    Raises:
        UserError: As ``load_config``; no such task or method, none for the task, or a preset with
            keys that recipes do not have.
    """
    config: Any = load_config(schema, argv, defaults)
    for plugin in config.plugins:
        load_plugin(plugin)
    task = task_named(config.task)
    defaults = merged(task.usual, defaults)
    if config.method is None:
        return load_config(schema, argv, defaults) if task.usual else config
    settings = settings_of(config.method, task.policy_unit)
    try:
        load_config(schema, ["output_dir=."], settings)
    except UserError as error:
        raise UserError(f"The preset {config.method!r} cannot be used: {error}") from error
    return load_config(schema, argv, merged(defaults, settings))


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with others laid over them, group by group."""
    found = dict(below)
    for key, value in above.items():
        held = found.get(key)
        # What is chosen by name comes with settings of its own: it replaces as a whole.
        whole = not isinstance(value, Mapping) or "name" in value
        found[key] = value if whole or not isinstance(held, Mapping) else merged(held, value)
    return found
