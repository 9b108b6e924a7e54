"""How a phase begins: the model and the columns as they were then, kept until the run is done."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_file, load_model, save_file, save_model

from tokenexit.errors import UserError
from tokenexit.files import sync, sync_tree, write_json, writing
from tokenexit.models.settings import ExitSettings
from tokenexit.training.checkpoint import PHASE_STATE, reading
from tokenexit.training.column import Column

if TYPE_CHECKING:
    from accelerate import Accelerator

WEIGHTS, COLUMNS = "model.safetensors", "columns.safetensors"


@dataclass(frozen=True)
class Beginning:
    """Where a phase starts from.

    Attributes:
        before: Steps of the phases before.
        chosen_on: The most texts that any of their evaluations chose on.
        columns: What was computed before it.
        looks: Models that their evaluations chose among.
    """

    before: int
    chosen_on: int
    columns: Mapping[str, Column]
    looks: int = 1


def newest(folder: Path) -> int | None:
    """Number of the last phase whose beginning is kept, from 0; None where none is."""
    found = [int(path.parent.name[-2:]) for path in folder.glob(f"phase-??/{PHASE_STATE}")]
    return max(found) - 1 if found else None


def keep(
    accelerator: Accelerator,
    folder: Path,
    number: int,
    model: Any,
    begun: Beginning,
    left: ExitSettings,
) -> None:
    """Write ``folder/phase-N``, whole or not at all. Called by every process.

    Args:
        accelerator: Of the training.
        folder: Of the checkpoints.
        number: Of the phase, from 0.
        model: As it begins.
        begun: What else it begins with.
        left: Settings that the phase before left the model with: a teacher's, wider than a pupil
            that was pruned for the phase.
    """
    final, partial = _place(folder, number), folder / f".{_place(folder, number).name}.partial"
    with writing(final):
        if accelerator.is_main_process:
            for old in (partial, final):
                shutil.rmtree(old, ignore_errors=True)
            partial.mkdir(parents=True)
            save_model(model, str(partial / WEIGHTS))
            units = {name: column.unit for name, column in begun.columns.items()}
            values = {name: column.values.contiguous() for name, column in begun.columns.items()}
            save_file(values, partial / COLUMNS)
            told = {"before": begun.before, "chosen_on": begun.chosen_on, "looks": begun.looks}
            told |= {"units": units, "settings": model.settings.to_json(), "left": left.to_json()}
            write_json(partial / PHASE_STATE, told)
            sync_tree(partial)
            partial.rename(final)
            sync(folder)
        accelerator.wait_for_everyone()


def restore(folder: Path, number: int, model: Any, *, teaches: bool = False) -> Beginning:
    """Put a model back to where a phase began.

    Args:
        folder: Of the checkpoints.
        number: Of the phase, from 0.
        model: Changed in place.
        teaches: Whether it is to have the settings that the phase before left.

    Raises:
        UserError: It is damaged.
    """
    place = _place(folder, number)
    with reading(place):
        told = json.loads((place / PHASE_STATE).read_text(encoding="utf-8"))
        load_model(model, place / WEIGHTS, device=str(model.device))
        given = told["left" if teaches else "settings"]
        settings = ExitSettings.from_json(given, str(place / PHASE_STATE))
        if settings.to_json() != model.settings.to_json():
            model.settings = settings
        values = load_file(place / COLUMNS)
        columns = {name: Column(unit, values[name]) for name, unit in told["units"].items()}
        looks = int(told.get("looks", 1))
        return Beginning(int(told["before"]), int(told["chosen_on"]), columns, looks)


def check_begun(number: int, phases: int, folder: Path) -> None:
    """Refuse to go on with what had more phases.

    Raises:
        UserError: Says how many.
    """
    if number >= phases:
        raise UserError(
            f"The training in {folder.parent} had {number + 1} phases or more, and there are "
            f"{phases} now: resume with the settings it was begun with, or train anew."
        )


def _place(folder: Path, number: int) -> Path:
    return folder / f"phase-{number + 1:02d}"
