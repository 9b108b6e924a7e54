"""``generate`` of a model with exits: check, let transformers loop, gather what happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils.generic import ModelOutput

from tokenexit.decoders import Decoder
from tokenexit.decoding import (
    CALLBACKS,
    Acceptance,
    DecodeWork,
    GenerationSettings,
    Generator,
    VerifyingGenerator,
    check_generator_policy,
    check_settings,
)
from tokenexit.decoding.border import ordinary
from tokenexit.decoding.known_settings import Known
from tokenexit.decoding.plain_greedy import PlainGreedy, plain_greedy
from tokenexit.errors import UserError
from tokenexit.models.generation.exit_seq2seq import ExitSeq2Seq
from tokenexit.models.generation.inputs import SOURCES, Memory, check_prompt, encode_inputs, rows_of
from tokenexit.policies import Policy, PolicyLike


@dataclass
class Generated(ModelOutput):
    """What was generated, and where each token left the decoder.

    Attributes:
        sequences: ``[B', T]``, the prompt included.
        exit_layers: Layer of each generated token, ``[B', T - prompt]``; 0 after the end.
        work: Rows each layer worked on, for ``decode_macs``.
        scores: Processed scores of each step, if asked for.
        logits: Raw scores of each step, if asked for.
        sequences_scores: With beams, the score of each sequence.
        beam_indices: With beams, the row each token came from.
        acceptance: With ``pending="verify"``, how the drafts fared.
    """

    sequences: Tensor = None  # type: ignore[assignment]
    exit_layers: Tensor = None  # type: ignore[assignment]
    work: DecodeWork = None  # type: ignore[assignment]
    scores: tuple[Tensor, ...] | None = None
    logits: tuple[Tensor, ...] | None = None
    sequences_scores: Tensor | None = None
    beam_indices: Tensor | None = None
    acceptance: Acceptance | None = None


def generate(
    model: ExitSeq2Seq,
    input_ids: Tensor | None,
    attention_mask: Tensor | None,
    policy: Policy,
    pending: str,
    settings: Mapping[str, Any],
    encoder_policy: PolicyLike | None = None,
) -> Tensor | Generated:
    """See ``ExitModelForSeq2SeqLM.generate``."""
    given = dict(settings)
    sources = {name: given.pop(name, None) for name in SOURCES}
    own: Any = model.network.generation_config
    chosen = checked(model, given, own)
    check_generator_policy(policy)
    if pending == "verify":
        _check_greedy(chosen)
    elif given.pop("draft_tokens", None) is not None:
        raise UserError('draft_tokens has a meaning with pending="verify" only; leave it out.')
    # The caller's own code must get tensors that it may keep and train with.
    watched = any(given.get(name) is not None for name in CALLBACKS)
    with torch.no_grad() if watched else torch.inference_mode():
        decoder = model.for_inference(rows_of(input_ids, sources))
        memory = encode_inputs(model, decoder, input_ids, attention_mask, sources, encoder_policy)
        if given.get("decoder_input_ids") is not None:
            check_prompt(model, given["decoder_input_ids"], len(memory.states))
        found = _generate(model, decoder, memory, policy, pending, given)
    if not chosen["return_dict_in_generate"]:
        return ordinary(found["sequences"])
    return Generated(**{name: ordinary(value) for name, value in found.items()})


def checked(model: ExitSeq2Seq, given: Mapping[str, Any], own: Any) -> GenerationSettings:
    """The settings, checked unless they are those of the last call."""
    vocabulary = model.decoder.vocab_size
    known: Known[GenerationSettings] = vars(model).setdefault("_checked_settings", Known())
    return known.get(
        lambda: check_settings(dict(given), own, vocab_size=vocabulary),
        given,
        vars(own),
        {"vocab_size": vocabulary},
    )


def _generate(
    model: ExitSeq2Seq,
    decoder: Decoder,
    memory: Memory,
    policy: Policy,
    pending: str,
    given: dict[str, Any],
) -> dict[str, Any]:
    network, sources = decoder.model, len(memory.states)
    rule = "parallel" if pending == "verify" else pending
    start = partial(_begin, model, decoder, policy, rule, pending == "verify")
    if pending == "verify":
        draft = given.pop("draft_tokens", None) or 8
        generator: Any = VerifyingGenerator(network, start, sources, draft)
        plain = None
    else:
        generator = Generator(network, start, sources)
        plain = _plain(model, memory, given)
    if plain is None:
        output = searched(generator, model, memory, given)
    else:
        output = generator.greedily(plain, memory.states, memory.mask)
    beams = output.get("beam_indices")
    layers = torch.stack(generator.exit_layers, dim=1)  # [rows, steps]
    if beams is not None:
        beams = beams[:, : layers.shape[1]]
        steps = torch.arange(beams.shape[1])
        layers = torch.where(beams.cpu() >= 0, layers[beams.cpu().clamp_min(0), steps], 0)
    sequences = output["sequences"]
    length = sequences.shape[1] - generator.prompt_length
    work = generator.decoding.work
    work.encoder = memory.work
    return {
        "sequences": sequences,
        "exit_layers": layers[:, :length].to(sequences.device),
        "work": work,
        "scores": output.get("scores"),
        "logits": output.get("logits"),
        "sequences_scores": output.get("sequences_scores"),
        "beam_indices": beams,
        "acceptance": getattr(generator, "acceptance", None),
    }


def _plain(model: ExitSeq2Seq, memory: Memory, given: dict[str, Any]) -> PlainGreedy | None:
    """The search, where it needs none of transformers' preparations."""
    own: Any = model.network.generation_config
    if memory.states.device.type != "cpu":
        return None
    config = model.network.config
    known: Known[PlainGreedy | None] = vars(model).setdefault("_plain_greedy", Known())
    return known.get(lambda: plain_greedy(given, own, config), given, vars(own), vars(config))


def searched(generator: Any, model: ExitSeq2Seq, memory: Memory, given: dict[str, Any]) -> Any:
    """What transformers' ``generate`` gives; settings that it refuses are the user's mistake."""
    fields = vars(model.network.generation_config)
    # Old and new names of what was not asked for would only make transformers warn.
    asked = {name: v for name, v in given.items() if v is not None or name in fields}
    asked |= {"return_dict_in_generate": True}
    if asked.get("stop_strings") is not None:
        asked.setdefault("tokenizer", model.tokenizer)
    if memory.ids is not None:
        asked["input_ids"] = memory.ids
    try:
        return generator.generate(
            attention_mask=memory.mask,
            encoder_outputs=BaseModelOutput(last_hidden_state=memory.states),  # type: ignore[arg-type]
            **asked,
        )
    except (ValueError, TypeError) as error:
        if generator.decoding is not None or isinstance(error, UserError):
            raise
        raise UserError(f"generate cannot work with these settings: {error}") from error


def _check_greedy(settings: GenerationSettings) -> None:
    for name, plain in (("num_beams", 1), ("do_sample", False), ("num_return_sequences", 1)):
        value = settings[name]
        if value not in (None, plain):
            raise UserError(
                f'pending="verify" repeats full-depth greedy search, so {name}={value!r} has no '
                f"meaning with it: set {name}={plain!r}, or pending to lazy, eager or parallel."
            )
    for name in ("streamer", "output_scores", "output_logits"):
        if settings[name]:
            raise UserError(f'pending="verify" writes several tokens at once and has no {name}.')


def _begin(
    model: ExitSeq2Seq,
    decoder: Decoder,
    policy: Policy,
    pending: str,
    uneven: bool,
    memory: Tensor,
    mask: Tensor | None,
    most: int,
) -> Any:
    return model.begin(
        memory,
        mask,
        policy=policy,
        pending=pending,
        max_steps=most,
        decoder=decoder,
        uneven=uneven,
    )
