"""The model card: what was trained, what it scores, how to use it."""

from __future__ import annotations

from tokenexit.models.settings import ExitSettings


def model_card(settings: ExitSettings, class_name: str, model_type: str) -> str:
    """Render the card of a model folder as Markdown."""
    return f"# {class_name}\n"
