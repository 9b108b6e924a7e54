"""How a run reads its data, remembered with its model: commands on the model read likewise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tokenexit.errors import UserError
from tokenexit.workflows.folder import DATA
from tokenexit.workflows.ours import CONFIG
from tokenexit.workflows.same_run import read_settings, whole_path

OPTIONS: dict[str, type] = {
    "column": str, "label_column": str, "pair_column": str, "source_column": str,
    "target_column": str, "lang": str, "group_column": str, "data_name": str, "convert_tags": bool,
}  # fmt: skip
"""Settings of the recipes that say how data is read."""
GENERATED = "generated"


@dataclass(frozen=True)
class Reading:
    """What a model's run read, and how.

    Attributes:
        data: What ``data=`` was; None if it is not known, or not there any more.
        options: Its reading options, but for those at their defaults.
        seed: Of the run, by which a validation split was held out if there was none.
    """

    data: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def for_data(self, source: str) -> dict[str, Any]:
        """The options for data that may be the run's own, or other data like it."""
        options = dict(self.options)
        name = options.get("data_name")
        if name is not None and not self.owns(source) and not (Path(source) / name).is_dir():
            del options["data_name"]  # a part of the run's own data alone
        return options

    def owns(self, source: str) -> bool:
        """Whether data is what the run was trained on, however its path is spelled."""
        return self.data is not None and whole_path(source) == whole_path(self.data)


def reading_of(config: Any) -> dict[str, Any]:
    """The reading options of a recipe's configuration that are not at their defaults."""
    default = {f.name: f.default for f in fields(config)}
    return {
        name: getattr(config, name)
        for name in OPTIONS
        if name in default and getattr(config, name) != default[name]
    }


def remembered(folder: Path, training: Mapping[str, Any] | None) -> Reading:
    """What is known of the run that a model is from.

    Args:
        folder: The model's folder, perhaps that of the run.
        training: What the model itself says of its training.
    """
    told: Mapping[str, Any] = training or {}
    options = told.get("reading")
    if options is None:  # of an older version; its run folder knows
        options = told = _settings(folder / CONFIG) or told
    data = told.get("data")
    if data in (None, GENERATED):
        data = str(folder / DATA) if (folder / DATA).is_dir() else None
    seed = told.get("seed")
    return Reading(
        data if isinstance(data, str) else None,
        _checked(options),
        seed if isinstance(seed, int) else 0,
    )


def _settings(path: Path) -> dict[str, Any]:
    try:
        return read_settings(path) if path.is_file() else {}
    except UserError:  # perhaps a file of the user's own; the model serves without
        return {}


def _checked(options: Any) -> dict[str, Any]:
    if not isinstance(options, Mapping):
        return {}
    return {
        name: options[name]
        for name, kind in OPTIONS.items()
        if isinstance(options.get(name), kind) and options[name] not in (False, "label")
    }
