"""Tokens as they arrive at exits when the engine lets those leave that a gate is sure of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutput

from tokenexit.context import ContextGate, Table
from tokenexit.context.fit import Arrived
from tokenexit.context.gate import Memory
from tokenexit.decoding import Decoding, DecodingSettings, Exits, Generator, Step
from tokenexit.models.generation.encode_sources import encode_sources
from tokenexit.models.generation.generate_texts import pad_sources
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.models.progress import tracked
from tokenexit.policies import Policy
from tokenexit.policies.context_gate import ContextGate as Asks
from tokenexit.signals import Signals
from tokenexit.training.read_steps import greedily, joined, read_steps, texts_of


@torch.no_grad()
def drawn_steps(
    model: ExitModelForSeq2SeqLM,
    gate: ContextGate,
    ids: Sequence[list[int]],
    halting: float,
    batch_size: int = 32,
) -> tuple[list[Arrived], Table]:
    """Write texts with exits on, and note what the gate read of the tokens that arrived.

    Args:
        model: The generator.
        gate: Who halts.
        ids: Tokens of each source.
        halting: Tokens less likely wrong than this leave.
        batch_size: Sources a batch.

    Returns:
        What arrived at each exit, and what all exits say at full depth of the same prefixes.
    """
    watching = _Watching(gate).to(model.device)
    order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
    parts: list[list[Arrived]] = [[] for _ in gate.config.exits]
    tables: list[Table] = []
    rows = 0
    for start in tracked(range(0, len(order), batch_size), "texts"):
        sources = [ids[place] for place in order[start : start + batch_size]]
        texts = _written(model, watching, sources, halting)
        table = read_steps(model, sources, texts, states=False)
        number = torch.full((len(texts), table.extent), -1)
        number[table.sequence, table.position] = torch.arange(len(table)) + rows
        for exit, part in enumerate(parts):
            part += [
                Arrived(exit, number[text, step], numbers, named)
                for text, step, numbers, named in watching.noted[exit]
            ]
        tables.append(table)
        rows += len(table)
    return [Arrived.joined(exit, part) for exit, part in enumerate(parts) if part], joined(tables)


class _Watching(ContextGate):
    """A gate that notes what it reads, and of which tokens.

    Args:
        gate: Whose weights it has.
    """

    def __init__(self, gate: ContextGate) -> None:
        super().__init__(gate.config, gate.project.shape[-1] if gate.config.projection else 0)
        for name, weight in gate.named_buffers():
            setattr(self, name, weight)
        self.features, self.neighbours = gate.features, gate.neighbours
        self.texts = torch.zeros(0, dtype=torch.long)
        """Which texts take the step."""
        self.noted: list[list[tuple[Tensor, ...]]] = []

    def step(self, signals: Signals, memory: Memory = None) -> tuple[Tensor, Memory]:
        """See ``ContextGate``."""
        numbers, memory = self.numbers(signals, memory)
        assert signals.step is not None
        text, step = self.texts[signals.sequence.cpu()], signals.step.cpu()
        named = signals.logits.argmax(dim=-1).cpu()
        exit = self.config.exits.index(signals.layer)
        self.noted[exit].append((text, step, numbers.cpu(), named))
        return self.judge(signals.layer, numbers), memory


class _Drawing(Decoding):
    """A decoding that tells who takes a step."""

    watching: _Watching

    def _step(self, token_ids: Tensor, policy: Policy, live: Tensor | None) -> Step:
        going = torch.ones(self.num_rows, dtype=torch.bool) if live is None else live.cpu()
        self.watching.texts = going.nonzero()[:, 0]
        return super()._step(token_ids, policy, live)


def _written(
    model: ExitModelForSeq2SeqLM, watching: _Watching, ids: list[list[int]], halting: float
) -> list[list[int]]:
    """Texts of a batch, the start token included."""
    decoder = model.inference_decoder
    exits = Exits(decoder, model.settings.exit_layers[:-1], context=watching)
    watching.noted = [[] for _ in watching.config.exits]

    def start(memory: Tensor, mask: Tensor | None, most: int) -> Decoding:
        made = _Drawing(
            decoder, exits, memory, mask, DecodingSettings(Asks(halting), max_steps=most)
        )
        made.watching = watching
        return made

    batch = pad_sources(model, ids)
    mask = batch["attention_mask"]
    memory = encode_sources(model, (batch["input_ids"], mask), decoder=decoder)[0]
    generator: Any = Generator(decoder.model, start, len(ids))
    given: Any = BaseModelOutput(last_hidden_state=memory)  # type: ignore[arg-type]
    found = generator.generate(attention_mask=mask, encoder_outputs=given, **greedily(model))
    layers = torch.stack(generator.exit_layers, dim=1)
    return texts_of(found["sequences"], layers)
