"""Training: one loop on Accelerate, for every objective."""

from __future__ import annotations

from tokenexit.training.accelerator import make_accelerator
from tokenexit.training.config import TrainConfig
from tokenexit.training.loop import train

__all__ = ["TrainConfig", "make_accelerator", "train"]
