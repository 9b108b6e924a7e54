"""What the commands have in common: what they open, read and write."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenexit import files

if TYPE_CHECKING:
    from tokenexit.cli.groups import Machine
    from tokenexit.workflows.commands import Commands


def open_model(model: str, place: Machine) -> Commands:
    """A model with what the commands do with it; a user's own parts are imported first."""
    import torch
    from transformers.utils import logging

    from tokenexit.workflows import commands

    told = place.options()
    threads, plugins = told.pop("threads"), told.pop("plugin")
    logging.disable_progress_bar()
    if threads is not None:
        torch.set_num_threads(threads)
    load_plugins(plugins)
    return commands.open_model(model, **told)


def certified(
    model: str, place: Machine, policy: Any = None, **settings: Any
) -> tuple[Commands, dict[str, Any]]:
    """The same, of a model whose certificate holds for what is going to run; and the certificate.

    Args:
        model: Its folder.
        place: Where and how it computes.
        policy: What is going to run in place of its own.
        settings: The same of other settings; None for the model's own.

    Raises:
        UserError: It does not.
    """
    from tokenexit.calibration.certificate import require_certificate

    opened = open_model(model, place)
    return opened, require_certificate(opened.model, model, policy=policy, **settings)


def load_plugins(sources: list[str] | None) -> None:
    """Import a user's own parts."""
    from tokenexit.registry import load_plugin

    for source in sources or []:
        load_plugin(source)


def show_bars(progress: bool | None) -> bool:
    """Whether progress is shown: as told, else where somebody can see it."""
    return sys.stderr.isatty() if progress is None else progress


def progressing(progress: bool | None) -> AbstractContextManager[None]:
    """Show how far models come inside, where progress is shown."""
    from tokenexit.models.progress import showing_progress

    return showing_progress(show_bars(progress))


def read_policy(text: str | None) -> Any:
    """The policy that an option tells, None when it tells none."""
    from tokenexit.policies import from_config

    return None if text is None else from_config(text)


def write_json(path: Path | None, data: Any) -> None:
    """Write the figures where ``--json`` wants them, if anywhere."""
    if path is not None:
        with files.output(path) as out:
            out.write(files.to_json(data, indent=2) + "\n")
