"""Training: one loop on Accelerate, for every objective."""

from __future__ import annotations

from tokenexit.training.accelerator import make_accelerator
from tokenexit.training.config import TrainConfig
from tokenexit.training.loop import check_training, train
from tokenexit.training.phases import check_phases

__all__ = ["TrainConfig", "check_phases", "check_training", "make_accelerator", "train"]
