"""Texts into texts: in batches that end together, or rows that wait for others of their depth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, cast

from tokenexit.errors import UserError
from tokenexit.models.chosen import chosen_policy
from tokenexit.models.generation.by_depth import check_batching_name, corpus_by_depth
from tokenexit.models.generation.generate import Generated
from tokenexit.models.generation.generate_texts import (
    GeneratedText,
    encode_texts,
    generated_text,
    read_outputs,
    source_batches,
)
from tokenexit.models.inputs import Texts
from tokenexit.models.predict_iter import Predicts, check_batch_size, until_failure
from tokenexit.policies import Policy

if TYPE_CHECKING:
    from tokenexit.models.generation.seq2seq import ExitModelForSeq2SeqLM

PolicyLike = Policy | Mapping[str, Any] | str


class PredictsTexts(Predicts):
    """What a generator does with texts."""

    def predict(  # type: ignore[override]
        self,
        texts: Iterable[str],
        *,
        policy: PolicyLike | None = None,
        pending: str | None = None,
        batch_size: int = 32,
        batching: str | None = None,
        max_wait: int | None = None,
        slots: int | None = None,
        **settings: Any,
    ) -> list[GeneratedText]:
        """Turn texts into texts.

        Args:
            texts: Sources, in anything that can be gone through.
            policy: Who halts; the model's own policy when None.
            pending: See ``generate``.
            batch_size: Sources a batch.
            batching: ``fixed`` writes a batch until its last text has ended. ``by_depth`` writes
                the same texts, for greedy search over more texts than a batch: rows that must go
                deeper wait until enough of them do, and ended texts give way to the next.
            max_wait: By depth, rounds of layers between two exits for which a row may be passed
                over before it is due; 16 when None.
            slots: By depth, texts in flight, ``batch_size`` or more; twice as many when None.
            settings: As ``generate``; the model's own ``generation`` settings underneath.

        Returns:
            One result a source, in order.
        """
        model = cast("ExitModelForSeq2SeqLM", self)
        if check_batching_name(batching) == "by_depth":
            told = {"max_wait": max_wait, "slots": slots, **settings}
            check_batch_size(batch_size)
            ids = iter(encode_texts(model, texts))
            return list(_by_depth(model, ids, policy, pending, batch_size, told))
        _check_fixed(max_wait=max_wait, slots=slots)
        settings = {**model.settings.generation, **settings, "return_dict_in_generate": True}
        results: list[GeneratedText] = []
        for batch in source_batches(model, texts, batch_size):
            found = model.generate(**batch, policy=policy, pending=pending, **settings)
            assert isinstance(found, Generated)
            results += read_outputs(model, found, len(batch["input_ids"]))
        return results

    def predict_iter(
        self,
        texts: Texts,
        *,
        batch_size: int = 32,
        batching: str | None = None,
        **options: Any,
    ) -> Iterator[GeneratedText]:
        """See ``Predicts``; by depth, a result comes when it and all before it are there."""
        if check_batching_name(batching) == "fixed":
            return super().predict_iter(texts, batch_size=batch_size, **options)
        check_batch_size(batch_size)
        policy, pending = options.pop("policy", None), options.pop("pending", None)
        model = cast("ExitModelForSeq2SeqLM", self)
        return _streamed(model, texts, policy, pending, batch_size, options)


def _streamed(
    model: ExitModelForSeq2SeqLM,
    texts: Texts,
    policy: PolicyLike | None,
    pending: str | None,
    batch_size: int,
    options: dict[str, Any],
) -> Iterator[GeneratedText]:
    failed: list[Exception] = []
    calm = until_failure(iter(model.read(texts)), failed)
    blocks = iter(lambda: list(islice(calm, batch_size)), [])
    ids = chain.from_iterable(encode_texts(model, block) for block in blocks)
    yield from _by_depth(model, ids, policy, pending, batch_size, options)
    if failed:
        raise failed[0]


def _by_depth(
    model: ExitModelForSeq2SeqLM,
    ids: Iterator[list[int]],
    policy: PolicyLike | None,
    pending: str | None,
    batch_size: int,
    options: dict[str, Any],
) -> Iterator[GeneratedText]:
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


def _check_fixed(**given: int | None) -> None:
    for name, value in given.items():
        if value is not None:
            raise UserError(f'{name} has a meaning with batching="by_depth" only; leave it out.')
