"""After training: a context gate, fitted to what the exits say of training texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import torch

from tokenexit.context import ContextGate, GateConfig, Table, fit_table
from tokenexit.context.learn import Lessons
from tokenexit.errors import UserError, unknown_name
from tokenexit.models.context_gate import level_of, mark_of
from tokenexit.models.encoder_model import EncoderModel
from tokenexit.models.exits import ExitTable, collect_exits


@torch.inference_mode(False)
def fit_gate(
    model: EncoderModel,
    texts: Sequence[Sequence[str]],
    targets: Sequence[Sequence[int]] | None = None,
    *,
    batch_size: int = 32,
    lessons: Lessons | None = None,
    **settings: Any,
) -> ContextGate:
    """Fit a context gate to a finished model; give it to the model with ``use_context``.

    Args:
        model: The model, which is left as it is.
        texts: Training texts: those that promises are made on stay untouched.
        targets: Gold class of each word, for targets that ask for it.
        batch_size: Texts a batch.
        lessons: How it is taught.
        settings: What it looks at, as `GateConfig` names it: ``features``, ``neighbours``,
            ``reach``, ``history``, ``inner``, ``shared``, ``projection``, ``target``.

    Raises:
        UserError: Too few texts, an unknown setting, or a model without classes or exits.
    """
    config = gate_config(model, settings)
    pieces = model.encoder.encode(texts, targets)
    found = collect_exits(model, pieces, batch_size, states=config.projection > 0)
    return fit_table(as_table(found), config, lessons)


def gate_config(model: EncoderModel, settings: dict[str, Any]) -> GateConfig:
    """What a gate for a model looks at.

    Raises:
        UserError: An unknown setting, or the model tells numbers or has no exit below the top.
    """
    if model.settings.task == "regression":
        raise UserError(
            "Exits of a regression tell numbers, and a context gate reads probabilities of "
            "classes: use value_patience."
        )
    exits = model.settings.exit_layers
    if len(exits) < 2:
        raise UserError("The model has no exit below the top, so there is nothing to judge.")
    own: dict[str, Any] = {
        "exits": exits[:-1],
        "num_layers": exits[-1],
        "num_classes": len(model.labels),
        "classes": model.labels,
        "level": level_of(model),
        "fingerprint": mark_of(model),
    }
    allowed = [one.name for one in fields(GateConfig) if one.name not in own]
    for name in settings:
        if name not in allowed:
            raise unknown_name("setting of a context gate", name, allowed)
    return GateConfig(**own, **settings)


def as_table(found: ExitTable) -> Table:
    """What exits said, as gates are fitted on it; words that two pieces see count once for each."""
    return Table(
        logits=found.logits,
        sequence=found.piece,
        position=found.position,
        gold=found.gold,
        layers=found.exit_layers,
        classes=found.classes,
        hidden=found.hidden,
    )
