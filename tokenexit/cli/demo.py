"""``tokenexit demo``: a page on this machine on which a model answers."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from tokenexit.cli.base import open_model, read_policy
from tokenexit.cli.groups import Loading, flat
from tokenexit.cli.options import Model, PolicyText


@flat
def demo(
    model: Model,
    *,
    policy: PolicyText = None,
    port: Annotated[int, typer.Option(help="Port of the page; 0 for any that is free.")] = 8765,
    host: Annotated[str, typer.Option(help="Address of the page; of this machine only.")] = (
        "127.0.0.1"
    ),
    browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in a browser.")
    ] = True,
    place: Loading,
) -> None:
    """Try a model on a page: type a text, drag the threshold, see where each word leaves.

    The page is served to this machine alone, until Ctrl-C. (To train a model on generated data
    first: tokenexit train ner.)
    """
    from tokenexit.demo_page.answering import Answering
    from tokenexit.demo_page.examples import examples_of
    from tokenexit.demo_page.server import bound
    from tokenexit.demo_page.threshold import slider_of

    chosen = read_policy(policy)
    opened = open_model(model, place)
    answering = Answering(
        opened.model,
        slider_of(opened.model, chosen),
        pairs="pair_column" in opened.reading.options,
        examples=examples_of(model),
        name=Path(model).resolve().name if Path(model).is_dir() else model,
    )
    with bound(host, port, answering) as server:
        answering.warm_up()
        typer.echo(f"{model} answers at {server.url}; Ctrl-C ends it.")
        if browser and has_screen():
            typer.launch(server.url)
        with suppress(KeyboardInterrupt):
            server.serve_forever(poll_interval=0.2)
    typer.echo("Goodbye: the page is closed.")


def has_screen() -> bool:
    """Whether a browser would have a window, rather than take the terminal."""
    shown = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    return shown or sys.platform in ("darwin", "win32")
