"""Checkpoints that a kill at any moment cannot spoil, nor a power cut.

Each is written under a temporary name and renamed when it is complete and on the disk; what has
no final name does not exist. Only then the one before is removed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import torch
from safetensors import safe_open

from tokenexit.errors import UserError
from tokenexit.files import sync, sync_tree, write_json, writing

if TYPE_CHECKING:
    from accelerate import Accelerator

BEST = "best.safetensors"
_STATE, PHASE_STATE = "trainer_state.json", "phase_state.json"
_STEP = "step-????????"
_PHASE = "phase-??"
_OURS = (
    _STEP, f".{_STEP}.partial", _PHASE, f".{_PHASE}.partial", BEST, ".best*.partial",
    "best.partial",
)  # fmt: skip


@dataclass
class TrainerState:
    """Where a training stands.

    Attributes:
        step: Optimiser steps of the phase that are done.
        best_step: Step of the best evaluation so far, 0 before the first.
        best_quality: Its quality.
        processes: How many processes train.
        waited: Evaluations since the best one.
        stopped: Whether patience ran out.
        chosen_on: The most texts that any evaluation chose on; 0 where that is not known.
        looks: Models that evaluations chose among, of all phases together.
        phase: Number of the phase, from 0.
        before: Steps of the phases before.
    """

    step: int = 0
    best_step: int = 0
    best_quality: float = float("-inf")
    processes: int = 1
    waited: int = 0
    stopped: bool = False
    chosen_on: int = 0
    looks: int = 1
    phase: int = 0
    before: int = 0

    @property
    def all_steps(self) -> int:
        """Optimiser steps of all phases that are done."""
        return self.before + self.step


def save_checkpoint(
    accelerator: Accelerator, folder: Path, state: TrainerState, keep: int = 1
) -> None:
    """Write ``folder/step-N`` and drop older ones. Called by every process.

    Raises:
        UserError: It cannot be written; the one before is still there.
    """
    final = folder / f"step-{state.all_steps:08d}"
    partial = folder / f".{final.name}.partial"
    with writing(final):
        if accelerator.is_main_process and partial.exists():
            shutil.rmtree(partial)
        accelerator.wait_for_everyone()
        accelerator.save_state(str(partial))
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            held = {**asdict(state), "files": _sums(partial)}
            if not state.best_step:
                held["best_quality"] = None  # JSON knows no infinity
            write_json(partial / _STATE, held)
            sync_tree(partial)
            if final.exists():
                shutil.rmtree(final)
            partial.rename(final)
            sync(folder)
            for old in complete(folder)[:-keep]:
                shutil.rmtree(old)
        accelerator.wait_for_everyone()


def load_checkpoint(accelerator: Accelerator, folder: Path, fresh: TrainerState) -> TrainerState:
    """Restore the newest complete checkpoint of a phase.

    Args:
        accelerator: Of this process.
        folder: Of the checkpoints.
        fresh: Where the phase begins: given back where there is no checkpoint of it.

    Raises:
        UserError: It was written by another number of processes, or is damaged.
    """
    world, found = accelerator.num_processes, complete(folder)
    if not found:
        return fresh
    newest = found[-1]
    state, sums = _read_state(newest / _STATE)
    if state.phase < fresh.phase:
        return fresh
    if state.processes != world:
        raise UserError(
            f"The checkpoint {newest} was written by {state.processes} process(es), and "
            f"{world} would go on from it. Start as many again, or train anew without resume."
        )
    _check_files(newest, folder, state, sums)
    with reading(newest):
        accelerator.load_state(str(newest))
    return state


def clear_checkpoints(accelerator: Accelerator, folder: Path) -> None:
    """Remove what an earlier training left: its checkpoints would pass for this one's."""
    if accelerator.is_main_process:
        remove_checkpoints(folder)
    accelerator.wait_for_everyone()


def remove_checkpoints(folder: Path) -> None:
    """Remove checkpoints, and their folder if nothing else is in it."""
    for pattern in _OURS:
        for path in folder.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                for state in (_STATE, PHASE_STATE):
                    (path / state).unlink(missing_ok=True)  # half a checkpoint is none
                shutil.rmtree(path)
            else:
                path.unlink()
    remove_if_empty(folder)


def remove_if_empty(folder: Path) -> None:
    """Remove a folder that has nothing in it."""
    if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
        folder.rmdir()


def complete(folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return sorted(path.parent for path in folder.glob(f"{_STEP}/{_STATE}"))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say in one line that what training would go on from is damaged.

    Raises:
        UserError: Names the file or folder and the way out.
    """
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError, UserError):
        raise
    except Exception as error:  # safetensors, torch and zip each have their own
        raise _damaged(path, _first_line(error)) from error


def _read_state(path: Path) -> tuple[TrainerState, dict[str, int]]:
    """Where a checkpoint stands, and the checksums of its files; none of an older version."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        sums = held.pop("files", {})
        if held["best_quality"] is None:
            held["best_quality"] = float("-inf")
        state = TrainerState(held.pop("step"), processes=held.pop("processes"), **held)
        counts = (state.step, state.best_step, state.processes, state.waited, state.phase)
        counts += (state.before, *sums.values())
        if not all(type(n) is int and n >= 0 for n in counts) or type(state.stopped) is not bool:
            raise ValueError("it does not say where the training stands")
        return replace(state, best_quality=float(state.best_quality)), sums
    except (OSError, LookupError, AttributeError, TypeError, ValueError, RecursionError) as error:
        raise _damaged(path, _first_line(error)) from error


def _check_files(checkpoint: Path, folder: Path, state: TrainerState, sums: dict[str, int]) -> None:
    """Refuse files that differ from what was written; of some, Accelerate would not say it."""
    names = [f"random_states_{rank}.pkl" for rank in range(state.processes)]
    for name in dict.fromkeys(["model.safetensors", "optimizer.bin", *names, *sums]):
        path = checkpoint / name
        if not path.is_file():
            raise _damaged(path, "it is missing.")
        with reading(path):
            if name in sums and _sum(path) != sums[name]:
                raise ValueError("it is not what was written")
    if state.best_step:
        best = folder / BEST
        with reading(best), safe_open(best, "pt"):  # compares the size with what the file says
            pass


def _sums(folder: Path) -> dict[str, int]:
    return {path.name: _sum(path) for path in sorted(folder.iterdir()) if path.is_file()}


def _sum(path: Path) -> int:
    total = 0
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            total = crc32(part, total)
    return total


def _damaged(path: Path, why: str) -> UserError:
    return UserError(
        f"{path}, from which the training would go on, is damaged: {why} Put it back, or train "
        "anew with overwrite=true in place of resume=true."
    )


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return (text[0] if text else type(error).__name__).rstrip(".") + "."
