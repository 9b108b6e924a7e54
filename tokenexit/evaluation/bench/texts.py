"""Generators against the others, all of them greedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch

from tokenexit.decoding import DecodeWork, decode_macs, plain_decode_macs
from tokenexit.errors import UserError
from tokenexit.evaluation.bench.by_depth import OurByDepth
from tokenexit.evaluation.bench.by_depth import batching as compared
from tokenexit.evaluation.bench.contender import Answers, Contender
from tokenexit.evaluation.bench.encoders import EARLY, FULL
from tokenexit.evaluation.bench.machine import what_ran
from tokenexit.evaluation.bench.our_texts import OurGenerator
from tokenexit.evaluation.bench.peers import Peer, chosen_peers, entrants
from tokenexit.evaluation.bench.plain_texts import PlainGenerator, SortedGenerator, Source
from tokenexit.evaluation.bench.race import Timed, race
from tokenexit.evaluation.bench.result import BenchResult, Row
from tokenexit.evaluation.bench.rows import padding, rows_of, speedups
from tokenexit.evaluation.text_metrics import agreement
from tokenexit.models.generation.by_depth import check_batching_name
from tokenexit.models.generation.generate import Generated
from tokenexit.models.generation.generate_texts import encode_texts
from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM
from tokenexit.policies import Policy
from tokenexit.policies.never import Never


def bench_texts(
    model: ExitModelForSeq2SeqLM,
    texts: Sequence[str],
    policy: Policy,
    *,
    batch_size: int = 32,
    repeats: int = 5,
    pending: str | None = None,
    against: str | Sequence[str] = (),
    batching: str | None = None,
    max_wait: int | None = None,
) -> BenchResult:
    """Time a policy against ``generate``, our own full depth, and other engines.

    Args:
        model: The generator.
        texts: Sources.
        policy: Who halts.
        batch_size: Sources a batch.
        repeats: Passes over all sources, after one that is not counted.
        pending: See ``ExitModelForSeq2SeqLM.generate``.
        against: Other engines by name, such as ``ctranslate2``.
        batching: ``by_depth`` also times rows that wait for others of their depth, and says which
            of ours is the fastest.
        max_wait: By depth, rounds after which a row is due.

    Raises:
        UserError: No text, an engine of no such name, or settings that exclude each other.
    """
    peers = chosen_peers(against)
    deep_too = check_batching_name(batching) == "by_depth"
    if max_wait is not None and not deep_too:
        raise UserError('max_wait has a meaning with batching="by_depth" only; leave it out.')
    sources = [Source(number, ids) for number, ids in enumerate(encode_texts(model, texts))]
    if not sources:
        raise UserError("There is no text to time.")
    pending = pending or model.settings.pending
    most = int(model.settings.generation.get("max_new_tokens", 128))
    own: list[Contender] = [PlainGenerator(model, most)]
    if batch_size > 1:  # one by one there is no padding to save
        own.append(SortedGenerator(model, most))
    own += [
        OurGenerator(FULL, model, Never(), "lazy", most),
        OurGenerator(EARLY, model, policy, pending, most),
    ]
    more = [OurByDepth(model, policy, pending, most, batch_size, max_wait)] if deep_too else []
    with entrants(peers, model.device, partial(_made, model, most)) as others:
        found = race(
            [*own, *more, *others],
            sources,
            lambda source: len(source.ids),
            batch_size=batch_size,
            repeats=repeats,
            turn=4,
            device=model.device,
        )
    three = [cast(Timed, found[place]) for place in (0, len(own) - 2, len(own) - 1)]
    deep, counted = (_counted(one, model) for one in three[1:])
    macs = (
        plain_decode_macs(model.decoder, deep.work.source_lengths, deep.targets),
        decode_macs(model.decoder, deep.work),
        decode_macs(model.decoder, counted.work),
    )
    rows = rows_of(found, three, len(sources), same_texts)
    return BenchResult(
        kind="tokens",
        baseline=f"transformers {type(model.network).__name__}.generate, greedy, default cache",
        batch_size=batch_size,
        threads=torch.get_num_threads(),
        device=str(model.device),
        dtype=str(model.network.dtype).removeprefix("torch."),
        precision=model.precision,
        runtime=model.runtime_used,
        repeats=repeats,
        n_sentences=len(sources),
        policy=policy.to_config(),
        **speedups(three, macs),
        mean_exit_layer=counted.depth,
        num_layers=model.decoder.num_layers,
        padding=padding([len(source.ids) for source in sources], batch_size),
        rows=rows,
        ran=what_ran([name for peer in peers for name in peer.packages], model.products),
        pending=pending,
        batching=compared(cast(Timed, found[len(own)]), *three[1:]) if deep_too else None,
        tokens=(_written(rows[0]), _written(rows[len(own) - 2]), _written(rows[len(own) - 1])),
    )


def _made(
    model: ExitModelForSeq2SeqLM, most: int, peer: Peer, precision: str, folder: Path
) -> Contender:
    return peer.generator(model, precision, folder, most)


def same_texts(answers: Answers, plain: Answers) -> dict[str, Any]:
    """Tokens written, and how far texts follow those of the plain model."""
    found = agreement([answers.get(key, ()) for key in plain], list(plain.values()))
    tokens = sum(len(text) for text in answers.values())
    return {"tokens": tokens, "agreement": found.prefix, "same_texts": found.exact}


def _written(row: Row) -> int:
    assert row.tokens is not None
    return row.tokens


@dataclass(frozen=True)
class _Counted:
    work: DecodeWork
    targets: list[int]
    depth: float


def _counted(one: Timed, model: ExitModelForSeq2SeqLM) -> _Counted:
    work, targets, layers = DecodeWork(model.decoder.num_layers), [], 0
    for _, found in cast("list[tuple[Any, Generated]]", one.outputs):
        work = work + found.work
        targets += (found.exit_layers > 0).sum(dim=1).tolist()
        layers += int(found.exit_layers.sum())
    return _Counted(work, targets, layers / max(sum(targets), 1))
