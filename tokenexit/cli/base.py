"""What the commands have in common: what they open, read and write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenexit import files

if TYPE_CHECKING:
    from tokenexit.workflows.commands import Commands


def open_model(model: str, plugin: list[str] | None) -> Commands:
    """A model with what the commands do with it; a user's own parts are imported first."""
    from transformers.utils import logging

    from tokenexit.registry import load_plugin
    from tokenexit.workflows import commands

    logging.disable_progress_bar()
    for source in plugin or []:
        load_plugin(source)
    return commands.open_model(model)


def read_policy(text: str | None) -> Any:
    """The policy that an option tells, None when it tells none."""
    from tokenexit.policies import from_config

    return None if text is None else from_config(text)


def write_json(path: Path | None, data: Any) -> None:
    """Write the figures where ``--json`` wants them, if anywhere."""
    if path is not None:
        files.write_json(path, data)
