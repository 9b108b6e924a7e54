"""How early could each token have left? A bound that no confidence can pass."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tokenexit.data.pairs import PairSplit
from tokenexit.decoding.teach import Pair, PairBatch, teach
from tokenexit.evaluation.text_trace import TextTrace
from tokenexit.models.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.models.texts import encode_texts
from tokenexit.scores import predicted
from tokenexit.signals import Signals


@torch.inference_mode()
def oracle_exits(
    model: ExitModelForSeq2SeqLM, split: PairSplit, full: TextTrace, *, batch_size: int = 32
) -> list[list[int]]:
    """The first exit of each token whose own choice is that of the full depth.

    All tokens before it are read at full depth, so this is what a perfect confidence would do
    if leaving early changed nothing for later tokens.

    Args:
        model: The generator.
        split: The sources.
        full: What the full depth wrote for them.
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


def _batch(model: ExitModelForSeq2SeqLM, pairs: Sequence[Pair]) -> list[list[int]]:
    decoder = model.inference_decoder
    pad = model.network.config.pad_token_id or 0
    batch = PairBatch.of(pairs, pad, model.device)
    watcher = _Watcher()
    teach(decoder, model.exits(decoder), batch, watcher)
    top = watcher.choices[decoder.num_layers]
    layers = torch.full_like(top, decoder.num_layers)
    for layer in sorted(watcher.choices, reverse=True):
        layers = layers.masked_fill(watcher.choices[layer] == top, layer)
    return [part.tolist() for part in layers.cpu().split([len(pair.targets) for pair in pairs])]


class _Watcher:
    """Notes what every exit would choose and lets nobody out."""

    def __init__(self) -> None:
        self.choices: dict[int, Tensor] = {}

    def arrive(self, signals: Signals, words: Tensor) -> None:
        self.choices[signals.layer] = predicted(signals.logits)

    def leave(self, halted: Tensor, staying: Tensor) -> None:
        """Only the top is left."""
