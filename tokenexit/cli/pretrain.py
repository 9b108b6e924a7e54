"""``tokenexit pretrain``: from running text to an encoder that recipes start from."""

from __future__ import annotations

from typing import Annotated

import typer


def pretrain(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[CONFIG.yaml] [key=value ...]")
    ] = None,
) -> None:
    """Pre-train an encoder with exits on running text; ``tokenexit pretrain --help`` lists keys.

    Without ``data=`` and ``model=`` it is a trial on generated text.
    """
    from tokenexit.workflows.pretrain import pretrain as run

    run(arguments or [])
