"""Training: one loop on Accelerate, for every objective."""

from __future__ import annotations

from tokenexit.training.accelerator import make_accelerator
from tokenexit.training.config import TrainConfig
from tokenexit.training.loop import check_training, train

__all__ = ["TrainConfig", "check_training", "make_accelerator", "train"]
