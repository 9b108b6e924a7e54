"""Importance of heads and neurons on the texts of a phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from tokenexit.errors import UserError
from tokenexit.objectives import from_config
from tokenexit.training.importance import Importance, Rule
from tokenexit.training.preparations.base import Material


def weighed(
    model: Any, material: Material, rule: Rule, objective: Mapping[str, Any] | None, most: int
) -> Importance:
    """Sums of importance over texts of the phase; the weights' gradients are gone afterwards.

    Args:
        model: A tagger or a text classifier, in evaluation mode.
        material: Texts, and how to run them.
        rule: How gradients become importance.
        objective: By whose loss; that of the phase when None.
        most: Texts at most, at even distances.

    Raises:
        UserError: The model has no widths.
    """
    if not hasattr(model, "use_widths"):
        raise UserError(
            "Heads and neurons are weighed of taggers and text classifiers; generators have no "
            "widths."
        )
    module = material.module(model)
    if objective is not None:
        module = type(module)(model, from_config(objective))
    module.eval()
    step = -(-len(material.texts) // most)
    material = replace(material, texts=material.texts[::step])
    backbone = model.backbone
    frozen = [weight for weight in backbone.model.parameters() if not weight.requires_grad]
    found = Importance(backbone, rule)
    with torch.enable_grad():
        backbone.model.requires_grad_(True)
        for part in material.parts():
            model.zero_grad(set_to_none=True)
            module(part, 0, 0.0, material.seed).total.backward()
            found.add()
    model.zero_grad(set_to_none=True)
    for weight in frozen:
        weight.requires_grad_(False)
    return found
