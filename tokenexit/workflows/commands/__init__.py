"""What the console script does with a model folder, for each kind of model."""

from __future__ import annotations

from tokenexit.workflows.commands.base import Commands
from tokenexit.workflows.commands.opening import open_model

__all__ = ["Commands", "open_model"]
