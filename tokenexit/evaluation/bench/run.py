"""One policy against the plain model, our own full depth, and other engines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch

from tokenexit.errors import UserError
from tokenexit.evaluation.bench.encoders import EncoderField
from tokenexit.evaluation.bench.field import Field
from tokenexit.evaluation.bench.generators import GeneratorField
from tokenexit.evaluation.bench.machine import what_ran
from tokenexit.evaluation.bench.peers import chosen_peers, entrants
from tokenexit.evaluation.bench.race import Timed, race
from tokenexit.evaluation.bench.result import BenchResult
from tokenexit.evaluation.bench.rows import padding, rows_of, speedups
from tokenexit.models.kinds import by_kind
from tokenexit.policies import Policy


def bench(
    model: Any,
    texts: Sequence[Any],
    policy: Policy,
    *,
    batch_size: int = 32,
    repeats: int = 5,
    against: str | Sequence[str] = (),
    **options: Any,
) -> BenchResult:
    """Time a policy against the plain model, our own full depth, and other engines.

    Args:
        model: A tagger, a text classifier, a cascade, whose last model is the plain one, or a
            text generator.
        texts: Words of each text, its one or two strings, or sources.
        policy: Who halts.
        batch_size: Texts a batch.
        repeats: Passes over all texts, after one that is not counted.
        against: Other engines by name, such as ``onnxruntime``.
        options: Of generators: ``pending``, ``batching`` and ``max_wait``, see
            ``GeneratorField``.

    Raises:
        UserError: No text to time, an engine of no such name, or settings that exclude each
            other.
    """
    peers = chosen_peers(against)
    kind = by_kind(model, EncoderField, GeneratorField)
    field: Field[Any] = kind(model, texts, policy, batch_size, **options)
    if not field.items:
        raise UserError(f"There is no {field.asked} to time.")
    own, more = field.own(), field.more()
    with entrants(peers, field.network.device, field.peer) as others:
        found = race(
            [*own, *more, *others],
            field.items,
            field.length,
            batch_size=batch_size,
            repeats=repeats,
            turn=field.turn,
            device=field.network.device,
        )
    three = [cast(Timed, found[place]) for place in (0, len(own) - 2, len(own) - 1)]
    cost = field.cost(*three[1:])
    rows = rows_of(found, three, len(field.items), field.compare)
    plain: Any = field.network.network
    return BenchResult(
        kind=f"{field.task.unit}s",
        baseline=f"transformers {field.baseline}",
        batch_size=batch_size,
        threads=torch.get_num_threads(),
        device=str(field.network.device),
        dtype=str(plain.dtype).removeprefix("torch."),
        precision=model.precision,
        runtime=model.runtime_used,
        repeats=repeats,
        n_sentences=len(field.items),
        policy=policy.to_config(),
        **speedups(three, cost.macs),
        mean_exit_layer=cost.mean_exit_layer,
        num_layers=cost.num_layers,
        padding=padding([field.length(item) for item in field.items], batch_size),
        rows=rows,
        ran=what_ran([name for peer in peers for name in peer.packages], model.products),
        **field.told(found[len(own) : len(own) + len(more)], three),
    )
