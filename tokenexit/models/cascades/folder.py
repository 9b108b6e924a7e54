"""The folder of a cascade: what holds it together, and an ordinary model folder for each stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenexit.errors import UserError
from tokenexit.files import to_json, write_text
from tokenexit.models.cascades.card import cascade_card
from tokenexit.models.cascades.stages import Stages
from tokenexit.models.folders import (
    CASCADE,
    check_kind,
    is_cascade,
    read_json,
    replace_model,
    resolve,
    write_model,
)
from tokenexit.models.record import check_told, check_version, checked, named
from tokenexit.models.sequences.sequence_classification import ExitModelForSequenceClassification
from tokenexit.policies import from_config

FORMAT_VERSION = 1
"""Version of ``cascade.json`` that this code writes, and the newest it reads."""

_KEPT = ("calibration", "metric", "training", "results")


@dataclass(frozen=True)
class Record:
    """Contents of ``cascade.json``."""

    stages: tuple[str, ...]
    policy: Mapping[str, Any] = field(default_factory=lambda: {"name": "never"})
    labels: tuple[str, ...] | None = None
    allow_different_tokenizers: bool = False
    calibration: Mapping[str, Any] | None = None
    metric: str | None = None
    training: Mapping[str, Any] | None = None
    results: Mapping[str, Any] | None = None


def names(cascade: Stages) -> list[str]:
    """Folders of the stages."""
    return [stage_name(number) for number in cascade.settings.exit_layers]


def stage_name(number: int) -> str:
    """Folder of a stage, counted from 1."""
    return f"stage-{number}"


def settings_files(cascade: Stages) -> dict[str, str]:
    """Everything but the stages: ``cascade.json``, and the card."""
    settings, record = cascade.settings, {"format_version": FORMAT_VERSION, **said(cascade)}
    stages = [
        (name, stage.network.config.model_type, stage.backbone.num_layers)
        for name, stage in zip(names(cascade), cascade.stages, strict=True)
    ]
    return {
        CASCADE: to_json(record, indent=2) + "\n",
        "README.md": cascade_card(settings, type(cascade).__name__, stages),
    }


def said(cascade: Stages) -> dict[str, Any]:
    """What ``cascade.json`` says of a cascade, as plain data."""
    settings = cascade.settings
    return {
        "stages": names(cascade),
        "labels": list(settings.labels),
        "policy": dict(settings.policy),
        "allow_different_tokenizers": cascade.allow_different_tokenizers,
        **{name: getattr(settings, name) for name in _KEPT},
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
    path = folder / CASCADE
    record = read_record(path)
    stages = [
        ExitModelForSequenceClassification.from_pretrained(folder / name, **options)
        for name in record.stages
    ]
    if record.labels is not None and stages and record.labels != stages[-1].labels:
        raise UserError(
            f"{path} names the labels {list(record.labels)} and its last stage "
            f"{list(stages[-1].labels)}: they are of two models. Copy the folder again."
        )
    values = {
        "policy": record.policy,
        "allow_different_tokenizers": record.allow_different_tokenizers,
    }
    return stages, values, {key: getattr(record, key) for key in _KEPT}


def save(cascade: Stages, folder: Path) -> None:
    """Write ``cascade.json`` and one model folder a stage.

    A kill leaves the old cascade, the new one, or a folder that is refused.

    Raises:
        UserError: Something cannot be written.
    """

    def write(fresh: Path) -> None:
        for name, stage in zip(names(cascade), cascade.stages, strict=True):
            (fresh / name).mkdir()
            write_model(stage, fresh / name, folder / name)
        for name, text in settings_files(cascade).items():
            write_text(fresh / name, text)

    replace_model(folder, write)


def read_record(path: Path) -> Record:
    """Read ``cascade.json``.

    Raises:
        UserError: It is damaged, of a newer format, or names stages that are not there.
    """
    data = read_json(path)
    check_version(data, FORMAT_VERSION, str(path))
    if not isinstance(data.get("stages"), list):
        raise UserError(f"{path} lists no stages; the file is incomplete. Copy the folder again.")
    record = checked(Record, data, str(path))
    with named(str(path)):
        check_told(record.training, record.calibration, record.results)
        from_config(record.policy)
    _check_stages(record.stages, path)
    return record


def _check_stages(stages: Sequence[str], path: Path) -> None:
    for name in stages:
        # Nowhere else on the disk.
        if name in ("", ".", "..") or Path(name).name != name or not (path.parent / name).is_dir():
            raise UserError(
                f"{path} names the stage {name!r}, which is no folder beside it. The folder is "
                "incomplete; copy it again."
            )
