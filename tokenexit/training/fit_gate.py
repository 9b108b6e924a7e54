"""After training: a context gate, fitted to what the exits say of training texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from tokenexit.context import ContextGate, GateConfig, Table, fit_table
from tokenexit.context.fit import HALTING, GateFitter, rows_needed
from tokenexit.errors import UserError
from tokenexit.models.context_gate import mark_of
from tokenexit.models.encoders.encoder_model import EncoderModel
from tokenexit.models.encoders.exit_table import ExitTable
from tokenexit.models.encoders.exits import collect_exits
from tokenexit.tasks import labelled_task
from tokenexit.training.drawn_rows import drawn_rows
from tokenexit.training.gate_config import ContextGateConfig, TextGateConfig


@torch.inference_mode(False)
def fit_gate(
    model: EncoderModel,
    texts: Sequence[Sequence[str]],
    targets: Sequence[Sequence[int]] | None = None,
    *,
    batch_size: int = 32,
    seed: int = 0,
    **settings: Any,
) -> ContextGate:
    """Fit a context gate to a finished model; give it to the model with ``use_context``.

    Args:
        model: The model, which is left as it is. The gate is fitted in the precision it is in.
        texts: Training texts: those that promises are made on stay untouched.
        targets: Gold class of each word, for targets that ask for it.
        batch_size: Texts a batch.
        seed: Of everything random.
        settings: As `ContextGateConfig` names them, or `TextGateConfig`, whose usual settings are
            those of texts: ``features``, ``neighbours``, ``reach``,
            ``history``, ``inner``, ``shared``, ``projection``, ``target``, ``rounds``, ...

    Raises:
        UserError: Too few texts, an unknown setting, or a model without classes or exits.
    """
    asked = asked_of(model, targets is not None, settings)
    config = gate_config(model, asked)
    chosen = asked.chosen(len(texts), seed)
    gold = None if targets is None else [targets[number] for number in chosen]
    windows = model.with_depths(model.encoder.encode([texts[number] for number in chosen], gold))
    table = as_table(collect_exits(model, windows, batch_size, states=config.reads_states))
    options = asked.fit_options(seed)
    gate = fit_table(table, config, options)
    for _ in range(1, asked.rounds):
        arrived = drawn_rows(model, gate, windows, HALTING, batch_size)
        needed = rows_needed(gate)
        GateFitter(gate.cpu(), table, options).fit([a for a in arrived if len(a.rows) >= needed])
    return gate


def asked_of(model: EncoderModel, labelled: bool, settings: Mapping[str, Any]) -> ContextGateConfig:
    """Settings, with what is usual for words or for texts where nothing is said.

    Raises:
        UserError: There is no such setting, or it has no such value.
    """
    if model.row_unit != "text":
        return ContextGateConfig.of({**settings})
    usual = {} if labelled else {"target": "agreement"}  # which asks for no labels
    return TextGateConfig.of({**usual, **settings})


def gate_config(model: EncoderModel, asked: ContextGateConfig) -> GateConfig:
    """What a gate for a model looks at.

    Raises:
        UserError: A bad setting, or the model tells numbers or has no exit below the top.
    """
    if not labelled_task(model.settings.task).countable:
        raise UserError(
            "Exits of a regression tell numbers, and a context gate reads probabilities of "
            "classes: use value_patience."
        )
    return asked.looking(
        model.settings.exit_layers,
        len(model.labels),
        model.row_unit,
        mark_of(model),
        model.labels,
    )


def as_table(found: ExitTable) -> Table:
    """What exits said, as gates are fitted on it; words of two windows count twice."""
    return Table(
        logits=found.logits,
        sequence=found.window,
        position=found.position,
        gold=found.gold,
        layers=found.exit_layers,
        classes=found.classes,
        hidden=found.hidden,
    )
