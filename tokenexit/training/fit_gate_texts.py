"""A context gate for a generator, fitted to the states of texts that it wrote itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from tokenexit.context import FEATURES, ContextGate, GateConfig, Table, fit_table
from tokenexit.context.fit import HALTING, GateFitter, rows_needed
from tokenexit.errors import UserError
from tokenexit.models.context_gate import mark_of
from tokenexit.models.generation.generate import Generated
from tokenexit.models.generation.generate_texts import encode_texts, pad_sources
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.models.progress import tracked
from tokenexit.policies import Never
from tokenexit.training.drawn_steps import drawn_steps
from tokenexit.training.gate_config import ContextGateConfig, StepGateConfig
from tokenexit.training.read_steps import greedily, joined, read_steps, texts_of
from tokenexit.training.strange_sources import strange


@torch.inference_mode(False)
def fit_gate_texts(
    model: ExitModelForSeq2SeqLM,
    sources: Sequence[str],
    *,
    batch_size: int = 32,
    seed: int = 0,
    **settings: Any,
) -> ContextGate:
    """Fit a context gate to a finished generator; give it to the model with ``use_context``.

    Args:
        model: The generator, which is left as it is. The gate is fitted in the precision it is in.
        sources: Of the training split. What the model writes for them at full depth is drawn, so
            that no targets are needed.
        batch_size: Sources a batch.
        seed: Of everything random.
        settings: As `StepGateConfig` names them: ``features``, ``inner``, ``shared``, ...

    Raises:
        UserError: Too few sources, an unknown setting, features that read the vocabulary, or a
            model without exits below the top.
    """
    asked = StepGateConfig.of(settings)
    config = step_config(model, asked)
    sources = list(dict.fromkeys(sources))  # one that comes again is written the same
    ids = encode_texts(model, [sources[number] for number in asked.chosen(len(sources), seed)])
    if asked.noise:
        ids += strange(ids, asked.noise, seed)
    table = draw_texts(model, ids, batch_size)
    options = asked.fit_options(seed)
    gate = fit_table(table, config, options)
    for _ in range(1, asked.rounds):
        arrived, table = drawn_steps(model, gate, ids, HALTING, batch_size)
        needed = rows_needed(gate)
        GateFitter(gate.cpu(), table, options).fit([a for a in arrived if len(a.rows) >= needed])
    return gate


def step_config(model: ExitModelForSeq2SeqLM, asked: ContextGateConfig) -> GateConfig:
    """What a gate for a generator looks at.

    Raises:
        UserError: See ``fit_gate_texts``.
    """
    config = asked.looking(
        model.settings.exit_layers, model.decoder.vocab_size, model.row_unit, mark_of(model)
    )
    if config.neighbours:
        raise UserError(
            "A token that is being written has no neighbours that a gate could look at; what came "
            "before is in its state, and in the features last_depths and last_doubts with reach=4, "
            "say. Leave neighbours out."
        )
    if config.reach and not config.steps:
        raise UserError(
            f"reach={config.reach} is how many of the last tokens a gate looks at, and none of its "
            "features does: add last_depths or last_doubts, or leave reach out."
        )
    if config.steps and asked.rounds < 2:
        raise UserError(
            "What became of the last tokens is known of states that were drawn with exits on: "
            "rounds=2 or more, or leave last_depths and last_doubts out."
        )
    reading = [name for name in config.features if FEATURES.get(name).of_logits]
    if reading:
        silent = [name for name, kind in FEATURES.items() if not kind.of_logits]
        raise UserError(
            f"A generator's gate looks at states, because scoring the vocabulary costs more than "
            f"layers do: {', '.join(reading)} would score it. Choose from {', '.join(silent)}."
        )
    if config.target != "agreement":
        raise UserError(
            "A generator's gate is taught to agree with the top (target: agreement), for there is "
            f"no gold word in a text that the model wrote itself; not {config.target!r}."
        )
    return config


def draw_texts(model: ExitModelForSeq2SeqLM, ids: list[list[int]], batch_size: int) -> Table:
    """States and answers of all exits along the texts that the full depth writes.

    Args:
        model: The generator.
        ids: Tokens of each source.
        batch_size: Sources a batch.
    """
    order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
    tables = []
    for start in tracked(range(0, len(order), batch_size), "texts"):
        batch = [ids[place] for place in order[start : start + batch_size]]
        sources, settings = pad_sources(model, batch), greedily(model)
        written = model.generate(**sources, policy=Never(), pending="lazy", **settings)
        assert isinstance(written, Generated)
        tables.append(read_steps(model, batch, texts_of(written.sequences, written.exit_layers)))
    return joined(tables)
