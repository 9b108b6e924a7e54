"""Several processes, one result: texts are dealt out and what became of them is gathered."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

import torch

from tokenexit.errors import UserError
from tokenexit.extras import require_libraries

if TYPE_CHECKING:
    from accelerate import PartialState

T = TypeVar("T")

# How long one process may wait for another: looking through files of a corpus may take hours. When
# one dies, its launcher ends the others.
_PATIENCE = timedelta(days=1)


@dataclass(frozen=True)
class Alone:
    """The one process there is; what is used of Accelerate's ``PartialState``."""

    device: torch.device
    process_index: int = 0
    num_processes: int = 1
    is_main_process: bool = True


def state() -> PartialState | Alone:
    """The process group, alone or started by torchrun or accelerate.

    Raises:
        UserError: There are several processes, and Accelerate is not installed.
    """
    if find_spec("accelerate") is None and os.environ.get("WORLD_SIZE", "1") == "1":
        return Alone(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    require_libraries("accelerate")
    from accelerate import PartialState

    if torch.cuda.is_available():
        return PartialState(timeout=_PATIENCE)
    return PartialState(cpu=True, timeout=_PATIENCE)


def my_share(count: int) -> list[int]:
    """Numbers of the items that this process takes, every ``world``-th."""
    here = state()
    return list(range(here.process_index, count, here.num_processes))


def gather(items: list[T]) -> list[T]:
    """What all processes have, in the order of processes; the same list everywhere."""
    if state().num_processes == 1:
        return items
    from accelerate.utils import gather_object

    return gather_object(items)


def is_main() -> bool:
    """Whether this process writes files and prints."""
    return state().is_main_process


def agree(do: Callable[[], T]) -> T:
    """Do something in every process; a mistake that one finds ends them all and is told once.

    Raises:
        UserError: On the main process, the first mistake.
        SystemExit: On the others.
    """
    made: list[T] = []
    told: list[str] = []
    try:
        made.append(do())
    except UserError as error:
        told.append(str(error))
    if wrong := gather(told):
        raise UserError(wrong[0]) if is_main() else SystemExit(2)
    return made[0]


def from_main(do: Callable[[], T]) -> T:
    """What the main process makes, everywhere; it must be plain data.

    Raises:
        UserError: As ``agree``.
    """
    made = agree(lambda: [do()] if is_main() else [])
    return gather(made)[0]
