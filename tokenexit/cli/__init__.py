"""The console script ``tokenexit``: what can be done with a finished model folder.

Heavy imports stand inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from tokenexit.cli.audit import audit
from tokenexit.cli.bench import bench
from tokenexit.cli.calibrate import calibrate
from tokenexit.cli.certify import certify
from tokenexit.cli.demo import demo
from tokenexit.cli.evaluate import evaluate
from tokenexit.cli.fit_gate import fit_gate
from tokenexit.cli.lists import backbones, methods, policies, reducers
from tokenexit.cli.ngrams import ngrams
from tokenexit.cli.predict import predict
from tokenexit.cli.pretrain import pretrain
from tokenexit.cli.report import report
from tokenexit.cli.train import OPEN, train
from tokenexit.config import friendly_errors
from tokenexit.errors import UserError

__all__ = ["app", "main"]

# Typer exports this class only through the one that is built on it.
_UsageError: Any = typer.BadParameter.__base__


def show_version(wanted: bool) -> None:
    """Answer ``--version``."""
    if wanted:
        from tokenexit import __version__, kernels

        typer.echo(f"tokenexit {__version__}")
        typer.echo(f"kernels: {kernels.status(compile=False)}")
        raise typer.Exit


app = typer.Typer(pretty_exceptions_enable=False)


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    """Token-level early exit: train a model, then calibrate, time, use and explain its folder."""


for command in (train, pretrain):
    app.command(context_settings=OPEN)(command)


for command in (
    evaluate,
    calibrate,
    certify,
    audit,
    fit_gate,
    ngrams,
    bench,
    predict,
    demo,
    report,
    policies,
    reducers,
    methods,
    backbones,
):
    app.command()(command)


def main() -> None:
    """Run the console script: 0 on success, 2 and one message on a user's mistake."""
    with friendly_errors():
        try:
            code = app(args=sys.argv[1:] or ["--help"], standalone_mode=False)
        except _UsageError as error:
            place = error.ctx.command_path if error.ctx else "tokenexit"
            text = error.format_message()
            text = text.rstrip(".") + ("" if text.endswith(("?", "?.")) else ".")
            raise UserError(f"{text} {place} --help lists what there is.") from None
        except typer.Abort:
            raise SystemExit(130) from None
        raise SystemExit(code if isinstance(code, int) else 0)
