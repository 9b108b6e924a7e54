"""Backbones: transformers families, one short adapter each, found by themselves."""

from __future__ import annotations

from transformers import PreTrainedModel

from tokenexit.backbones.base import BACKBONES, Absorbable, Backbone, LayerCost
from tokenexit.backbones.prepack import Prepacked, prepack
from tokenexit.errors import UserError

__all__ = ["BACKBONES", "Absorbable", "Backbone", "LayerCost", "Prepacked", "adapt", "prepack"]


def adapt(model: PreTrainedModel) -> Backbone:
    """Wrap a transformers model in the adapter of its family.

    Raises:
        UserError: The family is not supported; the message lists those that are.
    """
    kind = str(model.config.model_type)
    names = [name for name, _ in BACKBONES.items()]
    if kind not in names:
        raise UserError(
            f"Models of type {kind!r} are not supported. Supported types: {', '.join(names)}. "
            "A new family is one file in tokenexit/backbones."
        )
    return BACKBONES.get(kind)(model)
