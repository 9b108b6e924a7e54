"""``tokenexit train``: a run from data to report."""

from __future__ import annotations

from typing import Annotated

import typer

OPEN = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
"""Everything after the task is the run's own: ``key=value``, a YAML file, ``--help``."""


def train(
    task: Annotated[str, typer.Argument(help="ner, pos, classification, translation, ...")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[CONFIG.yaml] [key=value ...]")
    ] = None,
) -> None:
    """Train, calibrate, evaluate and report a model; ``tokenexit train TASK --help`` lists keys.

    Without ``data=`` and ``model=`` it is a trial on generated data.
    """
    from tokenexit.workflows.recipes import trainable
    from tokenexit.workflows.train import train_task

    if task in ("-h", "--help"):
        typer.echo("Usage: tokenexit train TASK [CONFIG.yaml] [key=value ...]\n")
        typer.echo(f"TASK is one of {', '.join(sorted(trainable()))}.")
        typer.echo("tokenexit train TASK --help lists every key. Without data= and model= it is a")
        typer.echo("trial on generated data.")
        return
    train_task(task, arguments or [])
