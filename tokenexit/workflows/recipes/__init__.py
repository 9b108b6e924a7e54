"""What the recipes do, step by step, by what leaves: words, texts or generated tokens."""

from __future__ import annotations

from typing import Any

from tokenexit.errors import unknown_name
from tokenexit.tasks import TASKS
from tokenexit.workflows.recipes.base import Measure, Recipe
from tokenexit.workflows.recipes.generation import GenerationRecipe
from tokenexit.workflows.recipes.texts import TextRecipe
from tokenexit.workflows.recipes.words import WordRecipe

__all__ = ["RECIPES", "Measure", "Recipe", "recipe_for", "recipe_of", "trainable"]

RECIPES: dict[str, type[Recipe]] = {
    "text": TextRecipe,
    "word": WordRecipe,
    "token": GenerationRecipe,
}
"""By what leaves."""


def trainable() -> dict[str, type[Recipe]]:
    """Recipes by the task that they train: that of the rows it has."""
    of_rows = {recipe.unit: recipe for recipe in RECIPES.values()}
    return {name: of_rows[task.unit] for name, task in TASKS.items()}


def recipe_for(task: str) -> type[Recipe]:
    """The recipe that trains a task.

    Raises:
        UserError: There is none; the message names the tasks.
    """
    known = trainable()
    if task not in known:
        raise unknown_name("task", task, known)
    return known[task]


def recipe_of(config: Any) -> Recipe:
    """The steps of a run.

    Args:
        config: Of a recipe, in any of their schemas.
    """
    return next(kind for kind in RECIPES.values() if type(config) is kind.schema)(config)
