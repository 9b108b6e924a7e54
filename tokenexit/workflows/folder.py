"""The run folder: one run each, never half of one and half of another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenexit.config import dump_config, from_yaml, to_yaml
from tokenexit.errors import UserError

CONFIG = "config.yaml"
_OURS = (
    "checkpoints",
    "traces",
    CONFIG,
    "metrics.json",
    "calibration.json",
    "pareto.csv",
    "report.html",
    "train_log.jsonl",
)
_FREE = ("resume", "overwrite", "output_dir", "threads", "plugins", "batch_size")
_AFTER_TRAINING = ("calibrate", "policy", "decode", "pending", "generation")
"""Keys that may differ when a run is resumed: they do not change what is trained."""


def check_run(config: Any) -> None:
    """Refuse a folder that is taken. Nothing is written.

    For every process, before any of them writes.

    Args:
        config: The run.

    Raises:
        UserError: The folder holds another run and neither ``overwrite`` nor ``resume`` was
            given, or the run to resume had other settings.
    """
    run = Path(config.output_dir)
    if run.exists() and not run.is_dir():
        raise UserError(f"output_dir {str(run)!r} is a file; give a folder.")
    if not run.is_dir() or not any(run.iterdir()) or _never_began(run, config):
        return
    if config.resume and (run / CONFIG).is_file():
        _check_same(run / CONFIG, config)
    elif config.overwrite or config.resume:
        return
    elif (run / CONFIG).is_file():
        raise UserError(
            f"output_dir {str(run)!r} already holds a run. Give overwrite=true to replace it, "
            "resume=true to go on with it, or another folder."
        )
    else:
        raise UserError(
            f"output_dir {str(run)!r} is not empty and holds no run of tokenexit. Give "
            "another folder, or overwrite=true to write into it."
        )


def open_run(config: Any) -> Path:
    """Make the run folder, or clear it. For one process, after ``check_run``."""
    run = Path(config.output_dir)
    going_on = config.resume and (run / CONFIG).is_file() and not _never_began(run, config)
    settings = dump_config(config)
    if going_on:
        settings = _read(run / CONFIG) | {
            key: settings[key] for key in _AFTER_TRAINING if key in settings
        }
    else:
        _clear(run)
    try:
        run.mkdir(parents=True, exist_ok=True)
        (run / CONFIG).write_text(to_yaml(settings), encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"output_dir {str(run)!r} cannot be written ({error.strerror}); give another."
        ) from error
    return run


def write_json(path: Path, data: Any) -> None:
    """Write JSON so that a kill leaves the old file or the new one, never half of one."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)


def _never_began(run: Path, config: Any) -> bool:
    """Whether a run stopped here at a mistake of the user, before there was anything to keep."""
    if not (run / CONFIG).is_file() or any((run / n).exists() for n in _OURS if n != CONFIG):
        return False
    saved = _read(run / CONFIG)
    return saved.keys() == dump_config(config).keys()  # else it is a file of the user's own


def _read(saved: Path) -> dict[str, Any]:
    content = from_yaml(saved.read_text(encoding="utf-8"), str(saved))
    return content if isinstance(content, dict) else {}


def _check_same(saved: Path, config: Any) -> None:
    # A key that the run did not know yet had what is now its default.
    held, default = _read(saved), dump_config(type(config)(output_dir=""))
    held = {**default, **held, "train": {**default["train"], **held.get("train", {})}}
    before, now = _dotted(held), _dotted(dump_config(config))
    changed = [
        f"{key} was {before.get(key)!r} and is {now.get(key)!r}"
        for key in dict.fromkeys([*now, *before])
        if key.split(".")[0] not in (*_FREE, *_AFTER_TRAINING) and before.get(key) != now.get(key)
    ]
    if changed:
        raise UserError(
            f"The run in {saved.parent} cannot be resumed with other settings: "
            f"{'; '.join(changed)}. Resume with the settings in {saved.name}, or start anew in "
            "another folder."
        )


def _dotted(tree: Mapping[str, Any], stem: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys, to tell exactly what differs."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat |= _dotted(value, f"{stem}{key}.")
        else:
            flat[f"{stem}{key}"] = value
    return flat


def _clear(run: Path) -> None:
    for name in _OURS:
        path = run / name
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
