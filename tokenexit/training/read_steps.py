"""What all exits see and say along given texts when nobody leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tokenexit.context import Table
from tokenexit.decoding.teacher_forcing import Pair, PairBatch, teacher_forcing
from tokenexit.models.generation.encode_sources import encode_sources
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.signals import Signals


def texts_of(sequences: Tensor, exit_layers: Tensor) -> list[list[int]]:
    """Tokens of each text that was written, the start token included, nothing after the end.

    Args:
        sequences: ``[R, 1 + T]``.
        exit_layers: Of the tokens that were written, 0 after the end, ``[R, T]``.
    """
    lengths = (exit_layers > 0).sum(dim=1).tolist()
    return [text[: n + 1] for text, n in zip(sequences.tolist(), lengths, strict=True)]


def greedily(model: ExitModelForSeq2SeqLM) -> dict[str, Any]:
    """The model's settings of generation, but for a search of one best token after the other."""
    once = {"num_beams": 1, "do_sample": False, "num_return_sequences": 1}
    return {**model.settings.generation, **once, "return_dict_in_generate": True}


@torch.no_grad()
def read_steps(
    model: ExitModelForSeq2SeqLM,
    ids: Sequence[list[int]],
    texts: Sequence[list[int]],
    *,
    states: bool = True,
) -> Table:
    """Read texts by all layers at once.

    Args:
        model: The generator.
        ids: Tokens of each source.
        texts: What was written for it, the start token included.
        states: Whether to keep what the exits see.
    """
    pairs = [Pair(source, text[1:], text[:-1]) for source, text in zip(ids, texts, strict=True)]
    pad = model.network.config.pad_token_id or 0
    batch = PairBatch.of(pairs, pad, model.device)
    decoder = model.inference_decoder
    watcher = _Watcher(decoder.finish if states else None)
    memory = encode_sources(model, (batch.input_ids, batch.attention_mask), decoder=decoder)[0]
    teacher_forcing(decoder, model.exits(decoder), batch, watcher, memory=memory)
    assert watcher.seen is not None
    sequence = watcher.seen.sequence.cpu().clone()
    return Table(
        logits=None,
        sequence=sequence,
        position=watcher.seen.position.cpu(),
        gold=torch.full_like(sequence, -100),
        layers=model.settings.exit_layers,
        hidden=torch.stack(watcher.hidden) if states else None,
        answers=torch.stack(watcher.answers),
    )


def joined(tables: Sequence[Table]) -> Table:
    """Tables of one model, after each other; each has texts of its own."""
    found, texts = [], 0
    for table in tables:
        found.append(table.sequence + texts)
        texts += table.num_sequences
    hidden = [table.hidden for table in tables if table.hidden is not None]
    answers = [table.answers for table in tables if table.answers is not None]
    return Table(
        logits=None,
        sequence=torch.cat(found),
        position=torch.cat([table.position for table in tables]),
        gold=torch.cat([table.gold for table in tables]),
        layers=tables[0].layers,
        hidden=torch.cat(hidden, dim=1) if hidden else None,
        answers=torch.cat(answers, dim=1),
    )


class _Watcher:
    """Notes what every exit sees and says; nobody leaves."""

    def __init__(self, finish: Any) -> None:
        self._finish = finish
        self.hidden: list[Tensor] = []
        self.answers: list[Tensor] = []
        self.seen: Signals | None = None

    def arrive(self, signals: Signals, words: Tensor) -> None:
        """See ``Visitor``."""
        self.answers.append(signals.logits.argmax(dim=-1).cpu())
        if self._finish is not None and signals.layer < signals.num_layers:
            # Half precision: a table of states is large, and a gate tells no finer.
            self.hidden.append(self._finish(signals.hidden).half().cpu())
        self.seen = signals

    def leave(self, halted: Tensor, staying: Tensor) -> None:
        """See ``Visitor``."""
