"""What comparisons have in common: one process and one writer, failures told, settings kept."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from tokenexit.errors import UserError
from tokenexit.extras import require_libraries
from tokenexit.workflows.lock import locked
from tokenexit.workflows.logs import logger, quiet


@contextmanager
def comparison(output_dir: str, threads: int | None, precision: str = "no") -> Iterator[None]:
    """Keep a folder for a comparison while the block runs.

    Args:
        output_dir: The folder.
        threads: Threads torch computes with; as they are when None.
        precision: Of trainings.

    Raises:
        UserError: There are several processes, or another writes into the folder.
    """
    settle(threads, precision)
    with locked(output_dir, "a comparison"):
        yield


def settle(threads: int | None, precision: str) -> None:
    """Threads, precision and what is printed, for this process.

    Raises:
        UserError: It is one of several that were launched together.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    require_libraries("accelerate")
    from accelerate import Accelerator

    accelerator = Accelerator(mixed_precision=precision)
    if accelerator.num_processes > 1:
        raise UserError("Comparisons run in one process; start the recipe with python alone.")
    quiet(accelerator)


def without_fail(measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What is measured, or ``error`` in one line: the others go on, whatever one stumbles over."""
    try:
        return measure()
    except Exception as error:
        logger.debug("%s", traceback.format_exc())
        return {"error": _in_one_line(error)}


def _in_one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, UserError):
        return text
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {text} ({Path(where.filename).name}:{where.lineno})"


def refuse_others(
    path: Path,
    held: Mapping[str, Any],
    now: Mapping[str, Any],
    comparable: Callable[[Mapping[str, Any]], Mapping[str, Any]],
) -> None:
    """Refuse to add to a comparison that was made with other settings.

    Args:
        path: Its record.
        held: Settings in it.
        now: Those it is to go on with.
        comparable: Brings both to one form.

    Raises:
        UserError: They differ; the message names what does.
    """
    before, after = comparable(held), comparable(now)
    changed = [
        f"{key} was {before.get(key)!r} and is {after.get(key)!r}"
        for key in dict.fromkeys([*after, *before])
        if before.get(key) != after.get(key)
    ]
    if changed:
        raise UserError(
            f"{path} was made with other settings: {'; '.join(changed)}. Give another "
            "output_dir, or remove the folder."
        )
