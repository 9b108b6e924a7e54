"""What the recipes do, step by step, by what leaves: words, texts or generated tokens."""

from __future__ import annotations

from typing import Any

from tokenexit.workflows.recipes.base import Measure, Recipe
from tokenexit.workflows.recipes.generation import GenerationRecipe
from tokenexit.workflows.recipes.texts import TextRecipe
from tokenexit.workflows.recipes.words import WordRecipe

__all__ = ["RECIPES", "Measure", "Recipe", "recipe_of"]

RECIPES: dict[str, type[Recipe]] = {
    "sentence": TextRecipe,
    "token": WordRecipe,
    "step": GenerationRecipe,
}
"""By the level at which a method leaves."""


def recipe_of(config: Any) -> Recipe:
    """The steps of a run.

    Args:
        config: Of a recipe, in any of their schemas.
    """
    return next(kind for kind in RECIPES.values() if type(config) is kind.schema)(config)
