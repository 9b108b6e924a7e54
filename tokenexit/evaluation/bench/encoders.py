"""Taggers, classifiers and cascades against the others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import cast

import torch

from tokenexit.errors import UserError
from tokenexit.evaluation.bench.contender import Contender
from tokenexit.evaluation.bench.machine import what_ran
from tokenexit.evaluation.bench.our_encoder import ours
from tokenexit.evaluation.bench.peers import Peer, chosen_peers, entrants
from tokenexit.evaluation.bench.plain_encoder import PlainEncoder, SortedEncoder
from tokenexit.evaluation.bench.race import Timed, race
from tokenexit.evaluation.bench.result import BenchResult
from tokenexit.evaluation.bench.rows import padding, rows_of, same_labels, speedups
from tokenexit.halting.trace import merge
from tokenexit.models.cascades.cascade import CascadeForSequenceClassification
from tokenexit.models.encoders.encoder_model import EncoderModel
from tokenexit.models.encoders.encoding import Piece
from tokenexit.policies import Policy
from tokenexit.policies.never import Never
from tokenexit.tasks import labelled_task

FULL, EARLY = "ours, full depth", "ours, policy"


def bench(
    model: EncoderModel | CascadeForSequenceClassification,
    texts: Sequence[Sequence[str]],
    policy: Policy,
    *,
    batch_size: int = 32,
    repeats: int = 5,
    against: str | Sequence[str] = (),
) -> BenchResult:
    """Time a policy against the plain model, our own full depth, and other engines.

    Args:
        model: A tagger, a text classifier or a cascade, whose last model is the plain one.
        texts: Words of each text, or its one or two strings.
        policy: Who halts.
        batch_size: Texts a batch.
        repeats: Passes over all texts, after one that is not counted.
        against: Other engines by name, such as ``onnxruntime``.

    Raises:
        UserError: No text with a word, or an engine of no such name.
    """
    peers = chosen_peers(against)
    network = model.last_stage
    pieces = network.encoder.encode(texts)
    if not pieces:
        raise UserError("There is no text with a word to time.")

    own: list[Contender] = [PlainEncoder(network)]
    if batch_size > 1:  # one by one there is no padding to save
        own.append(SortedEncoder(network))
    both = ((FULL, Never()), (EARLY, policy))
    own += [ours(model, name, texts, chosen, batch_size) for name, chosen in both]
    made = partial(_made, network, pieces)
    with entrants(peers, network.device, made) as others:
        found = race(
            [*own, *others],
            pieces,
            lambda piece: piece.sentence.length,
            batch_size=batch_size,
            repeats=repeats,
            turn=16,
            device=network.device,
        )
    three = [cast(Timed, found[place]) for place in (0, len(own) - 2, len(own) - 1)]
    deep, trace = (merge([output for _, output in one.outputs]) for one in three[1:])
    lengths = [piece.sentence.length for piece in pieces]
    plain_network = network.network
    return BenchResult(
        kind=f"{labelled_task(network.settings.task).unit}s",
        baseline=f"transformers {type(plain_network).__name__}, "
        f"{plain_network.config._attn_implementation}, padded batches",
        batch_size=batch_size,
        threads=torch.get_num_threads(),
        device=str(network.device),
        dtype=str(plain_network.dtype).removeprefix("torch."),
        precision=model.precision,
        runtime=model.runtime_used,
        repeats=repeats,
        n_sentences=len(pieces),
        policy=policy.to_config(),
        **speedups(three, (1.0, model.mac_ratio(deep), model.mac_ratio(trace))),
        mean_exit_layer=trace.mean_exit_layer,
        num_layers=trace.num_layers,
        padding=padding(lengths, batch_size),
        rows=rows_of(found, three, len(pieces), same_labels),
        ran=what_ran([name for peer in peers for name in peer.packages], model.products),
    )


def _made(
    model: EncoderModel, pieces: Sequence[Piece], peer: Peer, precision: str, folder: Path
) -> Contender:
    return peer.encoder(model, pieces, precision, folder)
