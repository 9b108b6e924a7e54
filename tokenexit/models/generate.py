"""``generate`` of a model with exits: check, let transformers loop, gather what happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils.generic import ModelOutput

from tokenexit.decoding import (
    Acceptance,
    DecodeWork,
    Generator,
    VerifyingGenerator,
    check_policy,
    refuse,
)
from tokenexit.errors import UserError
from tokenexit.models.encode_sources import encode_sources
from tokenexit.policies import Policy

if TYPE_CHECKING:
    from tokenexit.models.seq2seq import ExitModelForSeq2SeqLM


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


@torch.inference_mode()
def generate(
    model: ExitModelForSeq2SeqLM,
    input_ids: Tensor,
    attention_mask: Tensor | None,
    policy: Policy,
    pending: str,
    settings: Mapping[str, Any],
    encoder_policy: Policy | Mapping[str, Any] | str | None = None,
) -> Tensor | Generated:
    """See ``ExitModelForSeq2SeqLM.generate``."""
    mask = check_inputs(model, input_ids, attention_mask)
    refuse(settings)
    check_policy(policy)
    model.eval()
    settings = dict(settings)
    whole = settings.pop("return_dict_in_generate", False)
    for name in ("max_new_tokens", "max_length", "num_beams", "num_return_sequences"):
        value = settings.get(name)
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, Integral) or value < 1
        ):
            raise UserError(f"{name} must be a whole number from 1, not {value!r}.")
    if settings.get("decoder_input_ids") is not None:
        _check_prompt(model, settings["decoder_input_ids"], len(input_ids))
    memory, work = encode_sources(model, input_ids, mask, encoder_policy)
    settings["encoder_outputs"] = BaseModelOutput(last_hidden_state=memory)  # type: ignore[arg-type]
    found = _generate(model, input_ids, mask, policy, pending, settings)
    found.work.encoder = work
    return found if whole else found.sequences


def _generate(
    model: ExitModelForSeq2SeqLM,
    input_ids: Tensor,
    mask: Tensor,
    policy: Policy,
    pending: str,
    settings: dict[str, Any],
) -> Generated:
    network, sources = model.inference_decoder.model, len(input_ids)
    if pending == "verify":
        _check_greedy(model, settings)
        start = partial(_begin, model, policy, "parallel")
        draft = settings.pop("draft_tokens", 8)
        generator: Any = VerifyingGenerator(network, start, sources, draft)
    else:
        generator = Generator(network, partial(_begin, model, policy, pending), sources)
    output: Any = generator.generate(
        input_ids=input_ids, attention_mask=mask, return_dict_in_generate=True, **settings
    )
    assert generator.decoding is not None
    beams = output.get("beam_indices")
    layers = torch.stack(generator.exit_layers, dim=1)  # [rows, steps]
    if beams is not None:
        beams = beams[:, : layers.shape[1]]
        steps = torch.arange(beams.shape[1])
        layers = torch.where(beams.cpu() >= 0, layers[beams.cpu().clamp_min(0), steps], 0)
    length = output.sequences.shape[1] - generator.prompt_length
    return Generated(
        sequences=output.sequences,
        exit_layers=layers[:, :length].to(input_ids.device),
        work=generator.decoding.work,
        scores=output.get("scores"),
        logits=output.get("logits"),
        sequences_scores=output.get("sequences_scores"),
        beam_indices=beams,
        acceptance=getattr(generator, "acceptance", None),
    )


def _check_greedy(model: ExitModelForSeq2SeqLM, settings: Mapping[str, Any]) -> None:
    defaults: Any = settings.get("generation_config") or model.network.generation_config
    for name, plain in (("num_beams", 1), ("do_sample", False), ("num_return_sequences", 1)):
        value = settings.get(name, getattr(defaults, name, None))
        if value not in (None, plain):
            raise UserError(
                f'pending="verify" repeats full-depth greedy search, so {name}={value!r} has no '
                f"meaning with it: set {name}={plain!r}, or pending to lazy, eager or parallel."
            )
    for name in ("streamer", "output_scores", "output_logits"):
        if settings.get(name):
            raise UserError(f'pending="verify" writes several tokens at once and has no {name}.')


def _begin(
    model: ExitModelForSeq2SeqLM,
    policy: Policy,
    pending: str,
    memory: Tensor,
    mask: Tensor | None,
    most: int,
) -> Any:
    return model.begin(memory, mask, policy=policy, pending=pending, max_steps=most)


def _check_ids(name: str, ids: Any, embedding: Any) -> None:
    """Refuse what is no batch of ids that an embedding has."""
    if not isinstance(ids, Tensor) or ids.is_floating_point():
        kind = str(ids.dtype) if isinstance(ids, Tensor) else type(ids).__name__
        raise UserError(f"{name} must be a tensor of whole numbers, not {kind}.")
    if ids.ndim != 2 or not ids.numel():
        raise UserError(f"{name} must have shape [B, S], not {list(ids.shape)}.")
    size, low, high = int(embedding.weight.shape[0]), int(ids.min()), int(ids.max())
    if low < 0 or high >= size:
        raise UserError(
            f"{name} go from {low} to {high}, but the vocabulary has {size} entries, counted from "
            "0. Is this the tokenizer that the model was trained with?"
        )


def _check_prompt(model: ExitModelForSeq2SeqLM, prompt: Any, sources: int) -> None:
    network: Any = model.network
    _check_ids("decoder_input_ids", prompt, network.get_decoder().embed_tokens)
    if len(prompt) != sources:
        raise UserError(
            f"decoder_input_ids has {len(prompt)} rows for {sources} sources; give one a source."
        )


def check_inputs(
    model: ExitModelForSeq2SeqLM, input_ids: Tensor, attention_mask: Tensor | None
) -> Tensor:
    """Check sources; returns their mask, ``[B, S]``.

    Raises:
        UserError: Shapes that do not fit, ids outside the vocabulary, no real token in a row,
            or more tokens than the model reads.
    """
    _check_ids("input_ids", input_ids, model.network.get_input_embeddings())
    if attention_mask is None:
        pad = model.network.config.pad_token_id
        mask = torch.ones_like(input_ids) if pad is None else (input_ids != pad).long()
    elif attention_mask.shape != input_ids.shape:
        raise UserError(
            f"attention_mask has shape {list(attention_mask.shape)} and input_ids "
            f"{list(input_ids.shape)}; they must be the same."
        )
    else:
        mask = attention_mask
    empty = (mask.sum(dim=1) == 0).nonzero().flatten().tolist()
    if empty:
        raise UserError(
            f"Source {empty[0]} of the batch is padding only. An empty text still has its end "
            "token: tokenize it, or leave the row out."
        )
    most = model.decoder.max_length
    if most is not None and input_ids.shape[1] > most:
        raise UserError(
            f"A source has {input_ids.shape[1]} tokens and the model reads {most}. Cut it "
            "(truncation=True in the tokenizer), or use a model with relative positions."
        )
    return mask
