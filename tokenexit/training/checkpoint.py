"""Checkpoints that a kill at any moment cannot spoil.

Each is written under a temporary name and renamed when complete; what has no final name does
not exist.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from accelerate import Accelerator

from tokenexit.errors import UserError

_STATE = "trainer_state.json"


@dataclass
class TrainerState:
    """Where a training stands.

    Attributes:
        step: Optimiser steps done.
        best_step: Step of the best evaluation so far, 0 before the first.
        best_quality: Its quality.
        processes: How many processes train.
        waited: Evaluations since the best one.
        stopped: Whether patience ran out.
    """

    step: int = 0
    best_step: int = 0
    best_quality: float = float("-inf")
    processes: int = 1
    waited: int = 0
    stopped: bool = False


def save_checkpoint(
    accelerator: Accelerator, folder: Path, state: TrainerState, keep: int = 1
) -> None:
    """Write ``folder/step-N`` and drop older ones. Called by every process."""
    final = folder / f"step-{state.step:08d}"
    partial = folder / f".{final.name}.partial"
    if accelerator.is_main_process and partial.exists():
        shutil.rmtree(partial)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(partial))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        (partial / _STATE).write_text(json.dumps(asdict(state)), encoding="utf-8")
        if final.exists():
            shutil.rmtree(final)
        partial.rename(final)
        for old in complete(folder)[:-keep]:
            shutil.rmtree(old)
    accelerator.wait_for_everyone()


def load_checkpoint(accelerator: Accelerator, folder: Path) -> TrainerState:
    """Restore the newest complete checkpoint; a fresh state where there is none.

    Raises:
        UserError: It was written by another number of processes.
    """
    world, found = accelerator.num_processes, complete(folder)
    if not found:
        return TrainerState(processes=world)
    state = TrainerState(**json.loads((found[-1] / _STATE).read_text(encoding="utf-8")))
    if state.processes != world:
        raise UserError(
            f"The checkpoint {found[-1]} was written by {state.processes} process(es), and "
            f"{world} would go on from it. Start as many again, or train anew without resume."
        )
    accelerator.load_state(str(found[-1]))
    return state


def clear_checkpoints(accelerator: Accelerator, folder: Path) -> TrainerState:
    """Remove what an earlier training left: its checkpoints would pass for this one's."""
    if accelerator.is_main_process and folder.is_dir():
        shutil.rmtree(folder)
    accelerator.wait_for_everyone()
    return TrainerState(processes=accelerator.num_processes)


def complete(folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return sorted(path.parent for path in folder.glob(f"step-*/{_STATE}"))
