"""A context gate for a generator, fitted to the states of texts that it wrote itself."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tokenexit.context import FEATURES, ContextGate, GateConfig, Table, fit_table
from tokenexit.context.learn import Lessons
from tokenexit.decoding.teach import Pair, PairBatch, teach
from tokenexit.errors import UserError
from tokenexit.models.context_gate import mark_of
from tokenexit.models.encode_sources import encode_sources
from tokenexit.models.generate import Generated
from tokenexit.models.progress import tracked
from tokenexit.models.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.models.texts import encode_texts, pad_sources
from tokenexit.policies import Never
from tokenexit.signals import Signals
from tokenexit.training.gate_config import ContextGateConfig, StepGateConfig


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
    if asked.limit is not None and len(sources) > asked.limit:
        chosen = sorted(random.Random(seed).sample(range(len(sources)), asked.limit))
        sources = [sources[number] for number in chosen]
    ids = encode_texts(model, sources)
    if asked.noise:
        ids += strange(ids, asked.noise, seed)
    table = draw_texts(model, ids, batch_size)
    lessons = Lessons(epochs=asked.epochs, dropout=asked.dropout, seed=seed)
    return fit_table(table, config, lessons)


def step_config(model: ExitModelForSeq2SeqLM, asked: ContextGateConfig) -> GateConfig:
    """What a gate for a generator looks at.

    Raises:
        UserError: See ``fit_gate_texts``.
    """
    exits = model.settings.exit_layers
    if len(exits) < 2:
        raise UserError("The model has no exit below the top, so there is nothing to judge.")
    config = GateConfig(
        exits=exits[:-1],
        num_layers=exits[-1],
        num_classes=model.decoder.vocab_size,
        level=model.rows_level,
        features=tuple(asked.features),
        neighbours=tuple(asked.neighbours),
        reach=asked.reach,
        history=asked.history,
        projection=asked.projection,
        inner=asked.inner,
        shared=asked.shared,
        target=asked.target,
        fingerprint=mark_of(model),
    )
    if config.around or config.neighbours:
        raise UserError(
            "A token that is being written has no neighbours that a gate could look at; what came "
            "before is in its state. Leave neighbours and reach out."
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


def strange(ids: list[list[int]], share: float, seed: int) -> list[list[int]]:
    """Sources with some tokens taken from others, the last of each, which ends it, kept.

    On texts that it was trained on a model is surer than on others, and so would its gate be. What
    agreeing with the top means needs no human's text: any source will do.

    Args:
        ids: Tokens of each source.
        share: Of the tokens that are replaced.
        seed: Of the draw.
    """
    draw = random.Random(seed)
    pool = [token for row in ids for token in row[:-1]]
    return [
        [draw.choice(pool) if draw.random() < share else token for token in row[:-1]] + row[-1:]
        for row in ids
    ]


def draw_texts(model: ExitModelForSeq2SeqLM, ids: list[list[int]], batch_size: int) -> Table:
    """States and answers of all exits along the texts that the full depth writes.

    Args:
        model: The generator.
        ids: Tokens of each source.
        batch_size: Sources a batch.
    """
    order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
    parts = [
        _drawn(model, [ids[place] for place in order[start : start + batch_size]])
        for start in tracked(range(0, len(order), batch_size), "texts")
    ]
    for number, part in enumerate(parts):
        part["sequence"] += number * batch_size
    sequence = torch.cat([part["sequence"] for part in parts])
    return Table(
        logits=None,
        sequence=sequence,
        position=torch.cat([part["position"] for part in parts]),
        gold=torch.full_like(sequence, -100),
        layers=model.settings.exit_layers,
        hidden=torch.cat([part["hidden"] for part in parts], dim=1),
        answers=torch.cat([part["answers"] for part in parts], dim=1),
    )


class _Watcher:
    """Notes what every exit sees and says; nobody leaves."""

    def __init__(self, finish: Any) -> None:
        self._finish = finish
        self.hidden: list[Tensor] = []
        self.answers: list[Tensor] = []
        self.seen: Signals | None = None

    def arrive(self, signals: Signals, words: Tensor) -> None:
        """See ``Pupil``."""
        self.answers.append(signals.logits.argmax(dim=-1).cpu())
        if signals.layer < signals.num_layers:
            # Half precision: a table of states is large, and a gate tells no finer.
            self.hidden.append(self._finish(signals.hidden).half().cpu())
        self.seen = signals

    def leave(self, halted: Tensor, staying: Tensor) -> None:
        """See ``Pupil``."""


@torch.no_grad()
def _drawn(model: ExitModelForSeq2SeqLM, ids: list[list[int]]) -> dict[str, Tensor]:
    """One batch: its texts written, then read again by all layers at once."""
    settings = {**model.settings.generation, "num_beams": 1, "do_sample": False}
    settings |= {"num_return_sequences": 1, "return_dict_in_generate": True}
    written = model.generate(**pad_sources(model, ids), policy=Never(), pending="lazy", **settings)
    assert isinstance(written, Generated)
    lengths = (written.exit_layers > 0).sum(dim=1).tolist()
    rows = written.sequences.tolist()
    texts = [text[: length + 1] for text, length in zip(rows, lengths, strict=True)]
    pairs = [Pair(source, text[1:], text[:-1]) for source, text in zip(ids, texts, strict=True)]
    pad = model.network.config.pad_token_id or 0
    batch = PairBatch.of(pairs, pad, model.device)
    decoder = model.inference_decoder
    watcher = _Watcher(decoder.finish)
    memory = encode_sources(model, batch.input_ids, batch.attention_mask, decoder=decoder)[0]
    teach(decoder, model.exits(decoder), batch, watcher, memory=memory)
    assert watcher.seen is not None
    return {
        "hidden": torch.stack(watcher.hidden),
        "answers": torch.stack(watcher.answers),
        "sequence": watcher.seen.sequence.cpu().clone(),
        "position": watcher.seen.position.cpu(),
    }
