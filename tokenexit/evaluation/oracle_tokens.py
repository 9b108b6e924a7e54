"""The oracle of a text generator, from a pass along what the full depth wrote."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tokenexit.data.pairs import PairSplit
from tokenexit.decoding.teacher_forcing import Pair, PairBatch, teacher_forcing
from tokenexit.evaluation.text_trace import TextTrace
from tokenexit.models.generation.generate_texts import encode_texts
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.oracle import Account, account, oracle_layers, token_rows
from tokenexit.oracle.tokens import Text, token_kinds
from tokenexit.scores import predicted
from tokenexit.signals import Signals
from tokenexit.wording.subwords import marking


@torch.inference_mode()
def oracle_exits(
    model: ExitModelForSeq2SeqLM, split: PairSplit, full: TextTrace, *, batch_size: int = 32
) -> list[list[int]]:
    """Where the oracle lets each token of the full depth's texts leave: ``oracle.oracle_layers``.

    Args:
        model: The generator.
        split: The sources.
        full: What was generated at full depth for them.
        batch_size: Texts a batch.

    Returns:
        Exit layers from 1, text after text in the order of ``full``.
    """
    start = model.start_token
    sources = encode_texts(model, [split.sources[number] for number in full.text])
    written = [output.token_ids for output in full.outputs]
    pairs = [
        Pair(source, ids, [start, *ids[:-1]]) for source, ids in zip(sources, written, strict=True)
    ]
    found: list[list[int]] = [[] for _ in pairs]
    order = sorted((n for n, ids in enumerate(written) if ids), key=lambda n: pairs[n].length)
    for first in range(0, len(order), batch_size):
        chosen = order[first : first + batch_size]
        for number, layers in zip(chosen, _batch(model, [pairs[n] for n in chosen]), strict=True):
            found[number] = layers
    return found


def token_account(
    trace: TextTrace, full: TextTrace, oracle: Sequence[Sequence[int]]
) -> Account | None:
    """What an evaluation says of a run; tokens are grouped by kind.

    Means are those of all tokens, of the run's texts and of the full depth's. One by one, tokens
    are compared up to the first of a text that differs.

    Args:
        trace: The run.
        full: The same sources at full depth.
        oracle: See ``oracle_exits``.
    """
    texts = [
        Text(ours.tokens, ours.exit_layers, deep.tokens, layers)
        for ours, deep, layers in zip(trace.outputs, full.outputs, oracle, strict=True)
    ]
    marked = marking(token for text in texts for token in text.full)
    places = [layer for layers in oracle for layer in layers]
    return account(
        token_rows(texts),
        token_kinds(texts, marked),
        trace.num_layers,
        exit_layer=trace.mean_exit_layer,
        oracle_layer=sum(places) / max(len(places), 1),
    )


def _batch(model: ExitModelForSeq2SeqLM, pairs: Sequence[Pair]) -> list[list[int]]:
    decoder = model.inference_decoder
    pad = model.network.config.pad_token_id or 0
    batch = PairBatch.of(pairs, pad, model.device)
    watcher = _Watcher()
    teacher_forcing(decoder, model.exits(decoder), batch, watcher)
    named = torch.stack(list(watcher.named.values())).cpu().numpy()
    layers = oracle_layers(named, list(watcher.named))
    ends = np.cumsum([len(pair.targets) for pair in pairs])[:-1]
    return [part.tolist() for part in np.split(layers, ends)]


class _Watcher:
    """Notes what every exit names, from the first on, and lets nobody out."""

    def __init__(self) -> None:
        self.named: dict[int, Tensor] = {}

    def arrive(self, signals: Signals, words: Tensor) -> None:
        self.named[signals.layer] = predicted(signals.logits)

    def leave(self, halted: Tensor, staying: Tensor) -> None:
        """Only the top is left."""
