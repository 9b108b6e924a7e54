"""What all recipes do: train the task on the command line's arguments."""

from __future__ import annotations

import sys

from tokenexit.config import friendly_errors
from tokenexit.workflows.train import train_task


def main(task: str) -> None:
    """Run the recipe of a task."""
    with friendly_errors():
        train_task(task, sys.argv[1:])
