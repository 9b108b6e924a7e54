"""Generating for a corpus in batches of like depth: check, prepare the search, hand over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from tokenexit.decoders import Decoder
from tokenexit.decoding import CALLBACKS, GenerationSettings, Prepared
from tokenexit.decoding.by_depth import Corpus, EagerLanes, Schedule, Search, check_batching
from tokenexit.decoding.by_depth.room import SlotRooms
from tokenexit.decoding.by_depth.static import StaticLanes
from tokenexit.decoding.search import Stopping
from tokenexit.errors import UserError, unknown_name
from tokenexit.halting import add_work
from tokenexit.models.context_gate import check_asked
from tokenexit.models.generation.exit_seq2seq import ExitSeq2Seq
from tokenexit.models.generation.generate import checked, searched
from tokenexit.models.generation.generate_texts import pad_sources
from tokenexit.models.generation.inputs import SOURCES, Memory, encode_inputs
from tokenexit.policies import Policy

BATCHING = ("fixed", "by_depth")
"""How texts are put together: a batch is written from its first to its last text's end, or rows
of many texts go through a segment of layers together and ended texts are replaced at once."""

MAX_WAIT = 16
"""Rounds after which a row is due, when nobody says another number."""

_LOOKS_AT_THE_BATCH = ("encoder_repetition_penalty", "encoder_no_repeat_ngram_size", "max_time")
_NOTHING = (None, 0, 1.0)


def check_batching_name(given: str | None) -> str:
    """The way of batching, if it is one; the usual one for None.

    Raises:
        UserError: It is none.
    """
    if given is None:
        return "fixed"
    if given not in BATCHING:
        raise unknown_name("way of batching", given, BATCHING)
    return given


def corpus_by_depth(
    model: ExitSeq2Seq,
    ids: Iterator[list[int]],
    policy: Policy,
    *,
    pending: str,
    batch_size: int,
    max_wait: int | None = None,
    slots: int | None = None,
    **settings: Any,
) -> tuple[Corpus, EagerLanes] | None:
    """Texts that will be written while they are iterated over.

    Args:
        model: The generator.
        ids: Tokens of the sources, read while texts are written.
        policy: Who halts.
        pending: ``lazy`` or ``eager``.
        batch_size: Rows of a round at most.
        max_wait: Rounds after which a row is due; ``MAX_WAIT`` when None.
        slots: Texts in flight; twice ``batch_size`` when None.
        settings: Of greedy search, as ``generate`` takes them.

    Returns:
        The texts, and what computes them; None where there is no source.

    Raises:
        UserError: A setting that needs the other way of batching, or that no search takes.
    """
    wait = MAX_WAIT if max_wait is None else max_wait
    places = check_batching(batch_size, wait, slots)
    encoder_policy = settings.pop("encoder_policy", None)
    known = checked(model, settings, model.network.generation_config)
    _check(settings, known, pending)
    check_asked(model, policy)
    decoder = model.for_inference(2 * batch_size)
    encode = partial(_encoded, model, decoder, encoder_policy, ids)
    with torch.inference_mode():
        first = encode(batch_size)
        if first is None:
            return None
        search = _search(model, decoder, first, settings)
    parts = decoder, model.exits(decoder), policy, places, model.device
    if model.runtime == "static":
        rooms: SlotRooms = model._inference.keep(decoder, "rooms by depth", SlotRooms)
        lanes: EagerLanes = StaticLanes(
            *parts, max_steps=search.most, take=rooms.take, give_back=rooms.give_back
        )
    else:
        lanes = EagerLanes(*parts, eager=pending == "eager", max_steps=search.most)
    held = [first]

    def feed(most: int) -> tuple[Tensor, Tensor] | None:
        found = held.pop() if held else encode(most)
        if found is None:
            return None
        if found.work is not None:
            before = lanes.work.encoder
            lanes.work.encoder = found.work if before is None else add_work(before, found.work)
        return found.states, found.mask

    schedule = Schedule(lanes.segments, batch_size, wait)
    return Corpus(lanes, schedule, search, feed, places, model.device), lanes


def _encoded(
    model: ExitSeq2Seq,
    decoder: Decoder,
    encoder_policy: Any,
    ids: Iterator[list[int]],
    most: int,
) -> Memory | None:
    """The next sources after the encoder, so many at most."""
    block = list(islice(ids, most))
    if not block:
        return None
    batch = pad_sources(model, block)
    return encode_inputs(
        model, decoder, batch["input_ids"], batch["attention_mask"], {}, encoder_policy
    )


def _search(
    model: ExitSeq2Seq, decoder: Decoder, first: Memory, settings: Mapping[str, Any]
) -> Search:
    """The search that settings ask for, as transformers prepares it."""

    def never(*_: Any) -> Any:
        raise AssertionError("nothing is searched")

    generator = Prepared(decoder.model, never, 1)
    alone = Memory(first.states[:1], first.mask[:1], None if first.ids is None else first.ids[:1])
    searched(generator, model, alone, dict(settings))
    stopping = Stopping(generator.criteria)
    if not stopping.simple or not stopping.most:
        raise UserError(
            'batching="by_depth" stops at end tokens and a number of tokens, and the settings ask '
            'for more: leave them out, or set batching="fixed".'
        )
    processors = generator.processors

    def choose(tokens: Tensor, logits: Tensor) -> Tensor:
        return processors(tokens, logits).argmax(dim=-1)

    return Search(
        choose, not processors, generator.start, stopping.most - 1, frozenset(stopping.end_tokens)
    )


def _check(settings: Mapping[str, Any], known: GenerationSettings, pending: str) -> None:
    instead = 'or set batching="fixed"'
    if pending not in ("lazy", "eager"):
        raise UserError(
            f'batching="by_depth" lets each token go its own way, so pending={pending!r} has no '
            f'meaning with it: set pending="lazy", {instead}.'
        )
    for name, plain in (("num_beams", 1), ("do_sample", False), ("num_return_sequences", 1)):
        if known[name] not in (None, plain):
            raise UserError(
                f'batching="by_depth" is for greedy search, not {name}={known[name]!r}: set '
                f"{name}={plain!r}, {instead}."
            )
    names = (*CALLBACKS, *SOURCES, *_LOOKS_AT_THE_BATCH, "decoder_input_ids", "stop_strings")
    for name in names:
        value = known[name]
        if not (value is None or (isinstance(value, int | float) and value in _NOTHING)):
            raise UserError(
                f'batching="by_depth" puts texts together in an order of its own, so {name} has '
                f"no meaning with it: leave it out, {instead}."
            )
    for name in ("output_scores", "output_logits"):
        if known[name]:
            raise UserError(f'batching="by_depth" has no {name}: leave it out, {instead}.')
