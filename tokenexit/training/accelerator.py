"""The Accelerator, set up the one way the loop needs it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from tokenexit.errors import UserError
from tokenexit.extras import require_libraries
from tokenexit.training.config import TrainConfig
from tokenexit.training.tracking import check_trackers

if TYPE_CHECKING:
    from accelerate import Accelerator


def make_accelerator(config: TrainConfig, folder: Path) -> Accelerator:
    """Create the process's Accelerator.

    Exits leave layers unused whenever all words of a batch have halted, so gradients are
    reduced with a look for unused parameters.

    Raises:
        UserError: Accelerate or a tracker that is asked for is not installed, or fp16 without a
            GPU.
    """
    require_libraries("accelerate")
    from accelerate import Accelerator
    from accelerate.utils import DistributedDataParallelKwargs

    check_trackers(config.trackers)
    cpu = not torch.cuda.is_available() or os.environ.get("ACCELERATE_USE_CPU") == "true"
    if cpu and config.precision == "fp16":
        raise UserError("train.precision=fp16 needs a GPU; on a CPU use bf16 or no.")
    return Accelerator(
        cpu=cpu,
        mixed_precision=config.precision,
        log_with=[*config.trackers] or None,
        project_dir=str(folder),
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )


def start_trackers(config: TrainConfig, accelerator: Accelerator) -> None:
    """Start what is asked for besides the log, once; it may write into the run folder."""
    if config.trackers and not accelerator.trackers:
        accelerator.init_trackers("tokenexit")
