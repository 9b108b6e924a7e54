"""Texts into texts in batches of like depth: rows wait for others that must go as deep."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from tokenexit.errors import UserError
from tokenexit.models.chosen import chosen_policy
from tokenexit.models.generation.by_depth import corpus_by_depth
from tokenexit.models.generation.exit_seq2seq import ExitSeq2Seq
from tokenexit.models.generation.generate_texts import (
    GeneratedText,
    encode_texts,
    generated_text,
)
from tokenexit.models.inputs import Texts
from tokenexit.models.predict_iter import until_failure
from tokenexit.policies import PolicyLike


def stream_by_depth(
    model: ExitSeq2Seq,
    texts: Texts,
    policy: PolicyLike | None,
    pending: str | None,
    batch_size: int,
    options: dict[str, Any],
) -> Iterator[GeneratedText]:
    """As ``write_by_depth``, of texts that are read meanwhile; their failure comes last."""
    failed: list[Exception] = []
    calm = until_failure(iter(model.read(texts)), failed)
    blocks = iter(lambda: list(islice(calm, batch_size)), [])
    ids = chain.from_iterable(encode_texts(model, block) for block in blocks)
    yield from write_by_depth(model, ids, policy, pending, batch_size, options)
    if failed:
        raise failed[0]


def write_by_depth(
    model: ExitSeq2Seq,
    ids: Iterator[list[int]],
    policy: PolicyLike | None,
    pending: str | None,
    batch_size: int,
    options: dict[str, Any],
) -> Iterator[GeneratedText]:
    """Results in the order of the sources.

    Args:
        model: The generator.
        ids: Tokens of the sources.
        policy: Who halts; the model's own policy when None.
        pending: ``lazy`` or ``eager``; the model's own when None.
        batch_size: Rows of a round at most.
        options: Others of ``corpus_by_depth``, over the model's own settings.
    """
    found = corpus_by_depth(
        model,
        ids,
        chosen_policy(model, policy),
        pending=pending or model.settings.pending,
        batch_size=batch_size,
        **{**model.settings.generation, **options},
    )
    for text in () if found is None else found[0]:
        yield generated_text(model, text.tokens, text.exit_layers)


def check_fixed(**given: int | None) -> None:
    """Refuse settings that only batches of like depth have.

    Raises:
        UserError: Names one.
    """
    for name, value in given.items():
        if value is not None:
            raise UserError(f'{name} has a meaning with batching="by_depth" only; leave it out.')
