"""The run folder: one run each, never half of one and half of another."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tokenexit.config import dump_config, from_yaml, to_yaml
from tokenexit.errors import UserError
from tokenexit.workflows.config import TaggingConfig

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
"""Keys that may differ when a run is resumed: they do not change its result."""


def open_run(config: TaggingConfig, *, write: bool) -> Path:
    """Make or check the run folder before anything is computed.

    Args:
        config: The run.
        write: Whether this process may change the folder.

    Raises:
        UserError: The folder holds another run and neither ``overwrite`` nor ``resume`` was
            given, or the run to resume had other settings.
    """
    run = Path(config.output_dir)
    if run.exists() and not run.is_dir():
        raise UserError(f"output_dir {str(run)!r} is a file; give a folder.")
    saved = run / CONFIG
    if saved.is_file() and config.resume:
        _check_same(saved, config)
        return run
    if run.is_dir() and any(run.iterdir()):
        if not saved.is_file():
            if not (config.overwrite or config.resume):
                raise UserError(
                    f"output_dir {str(run)!r} is not empty and holds no run of tokenexit. Give "
                    "another folder, or overwrite=true to write into it."
                )
        elif not config.overwrite:
            raise UserError(
                f"output_dir {str(run)!r} already holds a run. Give overwrite=true to replace it, "
                "resume=true to go on with it, or another folder."
            )
        if write:
            _clear(run)
    if write:
        run.mkdir(parents=True, exist_ok=True)
        saved.write_text(to_yaml(dump_config(config)), encoding="utf-8")
    return run


def write_json(path: Path, data: Any) -> None:
    """Write JSON so that a kill leaves the old file or the new one, never half of one."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)


def _check_same(saved: Path, config: TaggingConfig) -> None:
    before = from_yaml(saved.read_text(encoding="utf-8"), str(saved))
    now = dump_config(config)
    changed = [
        f"{key} was {before.get(key)!r} and is {value!r}"
        for key, value in now.items()
        if key not in _FREE and before.get(key) != value
    ]
    if changed:
        raise UserError(
            f"The run in {saved.parent} cannot be resumed with other settings: "
            f"{'; '.join(changed)}. Resume with the settings in {saved.name}, or start anew in "
            "another folder."
        )


def _clear(run: Path) -> None:
    for name in _OURS:
        path = run / name
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
