"""``tokenexit report``: draw a run's page anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tokenexit.cli.base import load_plugins
from tokenexit.cli.options import Plugin


def report(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    figures: Annotated[
        str | None, typer.Option(help="Also save figures: pdf, png or svg (needs matplotlib).")
    ] = None,
    plugin: Plugin = None,
) -> None:
    """Draw report.html anew from a run's saved figures."""
    from tokenexit.reporting import write_report
    from tokenexit.workflows.lock import locked

    load_plugins(plugin)
    if run.is_dir():
        context.with_resource(locked(run, "tokenexit report"))
    typer.echo(write_report(run))
    if figures is not None:
        from tokenexit.reporting.figures import save_figures

        for path in save_figures(run, figures):
            typer.echo(path)
