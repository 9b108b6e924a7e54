"""What is done between two phases of a training: columns computed, the model changed."""

from __future__ import annotations

from tokenexit.training.preparations.base import (
    PREPARATIONS,
    Material,
    Preparation,
    from_config,
)

__all__ = ["PREPARATIONS", "Material", "Preparation", "from_config"]
