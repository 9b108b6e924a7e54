"""The folder of a cascade: what holds it together, and an ordinary model folder for each stage."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenexit.errors import UserError
from tokenexit.models.cascade_card import cascade_card
from tokenexit.models.persistence import CASCADE, check_kind, is_cascade, read_json, resolve
from tokenexit.models.sequence_classification import ExitModelForSequenceClassification

if TYPE_CHECKING:
    from tokenexit.models.cascade import CascadeForSequenceClassification

FORMAT_VERSION = 1
"""Version of ``cascade.json`` that this code writes, and the newest it reads."""

_KEPT = ("calibration", "training", "results")


def names(cascade: CascadeForSequenceClassification) -> list[str]:
    """Folders of the stages."""
    return [stage_name(number) for number in cascade.settings.exit_layers]


def stage_name(number: int) -> str:
    """Folder of a stage, counted from 1."""
    return f"stage-{number}"


def settings_files(cascade: CascadeForSequenceClassification) -> dict[str, str]:
    """Everything but the stages: ``cascade.json``, and the card."""
    settings = cascade.settings
    record = {
        "format_version": FORMAT_VERSION,
        "stages": names(cascade),
        "labels": list(settings.labels),
        "policy": dict(settings.policy),
        "allow_different_tokenizers": cascade.allow_different_tokenizers,
        **{name: getattr(settings, name) for name in _KEPT},
    }
    stages = [
        (name, stage.network.config.model_type, stage.backbone.num_layers)
        for name, stage in zip(names(cascade), cascade.stages, strict=True)
    ]
    return {
        CASCADE: json.dumps(record, indent=2, ensure_ascii=False) + "\n",
        "README.md": cascade_card(settings, type(cascade).__name__, stages),
    }


def read(
    source: str | Path, **options: Any
) -> tuple[list[ExitModelForSequenceClassification], dict[str, Any], dict[str, Any]]:
    """Read a folder.

    Args:
        source: Folder or Hub id.
        options: ``revision``, ``token``, ``cache_dir``; others go to every stage.

    Returns:
        The stages, the other arguments of the cascade, and the settings to configure it with.

    Raises:
        UserError: Not a cascade, of a newer format, or a stage is missing or damaged.
    """
    hub = {k: options.pop(k) for k in ("revision", "token", "cache_dir") if k in options}
    folder = resolve(source, **hub)
    if not is_cascade(folder):
        check_kind(folder, "CascadeForSequenceClassification")
    data, path = read_json(folder / CASCADE), folder / CASCADE
    version = data.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise UserError(
            f"{path} has format version {version!r}; this version of tokenexit reads up to "
            f"{FORMAT_VERSION}. Upgrade tokenexit to load the cascade."
        )
    stages = [
        ExitModelForSequenceClassification.from_pretrained(folder / name, **options)
        for name in _checked(data.get("stages"), path)
    ]
    values = {key: data[key] for key in ("policy", "allow_different_tokenizers") if key in data}
    return stages, values, {key: data.get(key) for key in _KEPT}


def _checked(stages: Any, path: Path) -> Sequence[str]:
    if not isinstance(stages, list):
        raise UserError(f"{path} lists no stages; the file is incomplete. Copy the folder again.")
    for name in stages:
        plain = isinstance(name, str) and Path(name).name == name  # nowhere else on the disk
        if not plain or not (path.parent / name).is_dir():
            raise UserError(
                f"{path} names the stage {name!r}, which is no folder beside it. The folder is "
                "incomplete; copy it again."
            )
    return stages
