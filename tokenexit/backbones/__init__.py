"""Backbones: transformers families, one short adapter each, found by themselves."""

from __future__ import annotations

from transformers import PreTrainedModel

from tokenexit.backbones.base import BACKBONES, Absorbable, Backbone, check_sound
from tokenexit.backbones.inference import Inference
from tokenexit.backbones.layer_cost import LayerCost
from tokenexit.backbones.sliced import sliced
from tokenexit.backbones.twin import evaluated
from tokenexit.errors import UserError

__all__ = [
    "BACKBONES",
    "Absorbable",
    "Backbone",
    "Inference",
    "LayerCost",
    "adapt",
    "evaluated",
    "sliced",
]


def adapt(model: PreTrainedModel) -> Backbone:
    """Wrap a transformers model in the adapter of its family.

    Raises:
        UserError: The family is not supported; the message lists those that are. Or its adapter
            contradicts itself.
    """
    kind = str(model.config.model_type)
    names = [name for name, _ in BACKBONES.items()]
    if kind not in names:
        raise UserError(
            f"Models of type {kind!r} are not supported. Supported types: {', '.join(names)}. "
            "A new family is one file in tokenexit/backbones."
        )
    backbone = BACKBONES.get(kind)(model)
    check_sound(backbone)
    return backbone
