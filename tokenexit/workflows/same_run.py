"""Whether a run that is to be resumed is the one that was begun."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from tokenexit.config import dump_config, from_yaml
from tokenexit.errors import UserError

C = TypeVar("C")

FREE = ("resume", "overwrite", "output_dir", "threads", "plugins", "batch_size")
AFTER_TRAINING = (
    "calibrate",
    "policy",
    "metric",
    "seeds",
    "decode",
    "splitter",
    "pending",
    "generation",
    "precision",
    "test_on",
)
"""Keys that may differ when a run is resumed: they do not change what is trained."""

_PATHS = ("model", "data")


def with_whole_paths(config: C) -> C:
    """The configuration with its model and data by their one name, if they are on this disk.

    However a path is spelled, and from wherever, it is the same run; and what is saved of it is
    found again from elsewhere.
    """
    settings: Any = config
    found = {name: whole_path(getattr(settings, name)) for name in _PATHS}
    if hasattr(settings, "stages"):
        found["stages"] = [_stage(stage) for stage in settings.stages]
    return replace(settings, **found)


def whole_path(source: Any) -> Any:
    """The absolute path of a file or folder, links followed; anything else as it is."""
    if not isinstance(source, str) or not source:
        return source
    try:
        path = Path(source).expanduser()
        return str(path.resolve()) if path.exists() else source
    except (OSError, RuntimeError, ValueError):  # too long, no such home, a null byte
        return source


def read_settings(path: Path) -> dict[str, Any]:
    """The settings that a run was begun with.

    Raises:
        UserError: The file is damaged.
    """
    try:
        content = from_yaml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error).strip().rstrip(".") or type(error).__name__) from error
    if not isinstance(content, dict) or not isinstance(content.get("train", {}), dict):
        what = "it is empty" if content is None else "it holds no settings by name"
        raise _damaged(path, what)
    return content


def read_record(path: Path) -> Any:
    """What an interrupted comparison has found so far.

    Raises:
        UserError: The file is damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path} is damaged: {str(error).rstrip('.')}. Put it back; or remove it, and what it "
            "recorded is done again."
        ) from error


def check_same(saved: Path, config: Any) -> None:
    """Refuse to go on with a run under other settings.

    Args:
        saved: The settings it was begun with.
        config: Those it is to go on with.

    Raises:
        UserError: Names every setting that differs, or the file is damaged.
    """
    # A key that the run did not know yet had what is now its default.
    held, default = read_settings(saved), dump_config(type(config)(output_dir=""))
    held = {**default, **held, "train": {**default["train"], **held.get("train", {})}}
    before, now = _dotted(_comparable(held)), _dotted(_comparable(dump_config(config)))
    changed = [
        f"{key} was {before.get(key)!r} and is {now.get(key)!r}"
        for key in dict.fromkeys([*now, *before])
        if key.split(".")[0] not in (*FREE, *AFTER_TRAINING) and before.get(key) != now.get(key)
    ]
    if changed:
        raise UserError(
            f"The run in {saved.parent} cannot be resumed with other settings: "
            f"{'; '.join(changed)}. Resume with the settings in {saved.name}, or start anew in "
            "another folder."
        )


def _comparable(settings: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(settings) | {name: whole_path(settings.get(name)) for name in _PATHS}
    if found.pop("regression", False):  # all that older runs say of their task
        found["task"] = "regression"
    if isinstance(found.get("stages"), list):
        found["stages"] = [_stage(stage) for stage in found["stages"]]
    return found


def _stage(stage: Any) -> Any:
    if not isinstance(stage, Mapping) or "model" not in stage:
        return stage
    return {**stage, "model": whole_path(stage["model"])}


def _dotted(tree: Mapping[str, Any], stem: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys, to tell exactly what differs."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat |= _dotted(value, f"{stem}{key}.")
        else:
            flat[f"{stem}{key}"] = value
    return flat


def _damaged(path: Path, why: str) -> UserError:
    return UserError(
        f"{path} is damaged: {why}. The settings of the run are lost with it: put it back, or "
        "start anew with overwrite=true or in another folder."
    )
