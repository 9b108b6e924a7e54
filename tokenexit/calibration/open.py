"""The workload of any kind of model."""

from __future__ import annotations

from typing import Any

from tokenexit.calibration.generated import Generating
from tokenexit.calibration.labels import Labelling
from tokenexit.calibration.workload import Workload
from tokenexit.models.kinds import by_kind


def workload_of(model: Any, split: Any, name: str, batch_size: int) -> Workload:
    """A model and texts, as calibration runs them.

    Args:
        model: A tagger, text classifier, cascade or generator.
        split: Texts of its kind.
        name: Name of the split.
        batch_size: Texts a batch.
    """
    return by_kind(model, Labelling, Generating)(model, split, name, batch_size)
