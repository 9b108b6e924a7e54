"""What kind of model a folder holds, told before any weight is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenexit.errors import UserError
from tokenexit.models.folders.contents import FILES
from tokenexit.models.folders.names import CASCADE, CONFIG, WEIGHTS
from tokenexit.models.folders.plain import read_json
from tokenexit.models.settings import ExitSettings, task_of


def read_settings(folder: Path) -> ExitSettings:
    """What a model folder says of its exits.

    Raises:
        UserError: It is no model folder, of a newer format, or its settings are damaged.
    """
    return read_all(folder)[0]


def read_all(folder: Path) -> tuple[ExitSettings, Any]:
    """The settings, and what was noted of the files beside them.

    Raises:
        UserError: As ``read_settings``.
    """
    if is_cascade(folder):
        raise UserError(
            f"{str(folder)!r} holds a cascade of text classifiers: load it with "
            "CascadeForSequenceClassification.from_pretrained, or give the folder of one stage."
        )
    path = folder / CONFIG
    if not path.exists() and not path.is_symlink():
        raise _no_model(folder)
    data = read_json(path)
    return ExitSettings.from_json(data, str(path)), data.get(FILES)


def _no_model(folder: Path) -> UserError:
    told = f"{folder} has no {CONFIG}, so it is no tokenexit model"
    if (folder / WEIGHTS).is_file():
        return UserError(
            f"{told}, or no whole one: it has exits, and saving or copying it was cut short. Copy "
            "it again, save the model again, or go on with its run (resume=true)."
        )
    inside = sorted(path.parent.name for path in folder.glob(f"*/{CONFIG}"))
    if inside:
        return UserError(
            f"{told}; but there is one in {', '.join(inside[:6])}. Give {folder / inside[0]}, say."
        )
    return UserError(f"{told}. Train one with a recipe, or add exits to it with from_transformers.")


def is_cascade(folder: Path) -> bool:
    """Whether a folder holds several models that are asked one after the other."""
    return (folder / CASCADE).exists()


def kind_of(settings: ExitSettings) -> tuple[str, str]:
    """What a model folder holds, in words, and the class that loads it."""
    task = task_of(settings)
    return task.made, task.loader


def check_kind(folder: Path, loads: str) -> None:
    """Refuse a model folder of another kind.

    Args:
        folder: The folder.
        loads: Name of the class that was asked to load it.

    Raises:
        UserError: Says what it holds and which class loads that.
    """
    what, loader = kind_of(read_settings(folder))
    if loader != loads:
        raise UserError(f"{str(folder)!r} holds {what}: load it with {loader}.from_pretrained.")
