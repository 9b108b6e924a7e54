"""What a generator reads: ids, vectors in their place, or encoder states that are there already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from tokenexit.decoders import Decoder
from tokenexit.errors import UserError
from tokenexit.halting import Work
from tokenexit.models.generation.encode_sources import encode_sources
from tokenexit.models.generation.exit_seq2seq import ExitSeq2Seq

_UNKNOWN = 32
"""Rows of sources that are not tensors."""

SOURCES = ("inputs", "inputs_embeds", "encoder_outputs")
"""What may stand in the place of ``input_ids``."""

_OF_A_TOKENIZER = (
    "token_type_ids", "special_tokens_mask", "offset_mapping", "length", "num_truncated_tokens",
    "overflowing_tokens", "overflow_to_sample_mapping",
)  # fmt: skip
"""What tokenizers return beside ids and mask, and encoders of these families do not read."""


@dataclass(frozen=True, eq=False)
class Memory:
    """Sources after the encoder.

    Attributes:
        states: ``[B, S, H]``.
        mask: 1 for real tokens, ``[B, S]``.
        ids: Their tokens, ``[B, S]``, where there are any.
        work: Of the encoder, where tokens could leave it.
    """

    states: Tensor
    mask: Tensor
    ids: Tensor | None = None
    work: Work | None = None


def check_start(inputs: Mapping[str, Any]) -> None:
    """Refuse arguments of ``start`` that would have no effect.

    Raises:
        UserError: Names one.
    """
    for name, value in inputs.items():
        if name not in (*SOURCES, *_OF_A_TOKENIZER) and value is not None:
            raise UserError(
                f"start cannot take {name}: it encodes sources, and takes input_ids, "
                f"attention_mask, {', '.join(SOURCES)}, policy, pending, max_steps and "
                "encoder_policy. Settings of a search are arguments of generate."
            )


def rows_of(input_ids: Any, given: Mapping[str, Any]) -> int:
    """About how many rows a call will compute: those of its sources, and as many written.

    Args:
        input_ids: ``[B, S]``; nothing has been checked yet.
        given: What may stand in their place.
    """
    found = [input_ids, *given.values()]
    sizes = [value.shape[:2].numel() for value in found if isinstance(value, Tensor)]
    return 2 * max(sizes, default=_UNKNOWN)


def encode_inputs(
    model: ExitSeq2Seq,
    decoder: Decoder,
    input_ids: Tensor | None,
    attention_mask: Tensor | None,
    given: dict[str, Any],
    encoder_policy: Any = None,
) -> Memory:
    """Encoder states of a batch, made or as they were given.

    Args:
        model: The generator.
        decoder: Its ``inference_decoder``.
        input_ids: ``[B, S]``; may be left out where ``given`` has something in their place.
        attention_mask: ``[B, S]``.
        given: Arguments of ``generate``; ``inputs``, ``inputs_embeds`` and ``encoder_outputs``
            are taken out.
        encoder_policy: Which tokens of the source leave early; the model's own when None.

    Raises:
        UserError: Nothing to read, or several things; shapes that do not fit.
    """
    inputs, embeds, outputs = (
        given.pop(name, None) for name in ("inputs", "inputs_embeds", "encoder_outputs")
    )
    if inputs is not None:
        if input_ids is not None:
            raise UserError("inputs and input_ids are the same thing; give one of them.")
        input_ids = inputs
    if outputs is None and embeds is None:
        if input_ids is None:
            raise UserError("There is nothing to read: give input_ids, or encoder_outputs.")
        mask = check_inputs(model, input_ids, attention_mask)
        states, work = encode_sources(model, (input_ids, mask), encoder_policy, decoder)
        return Memory(states, mask, input_ids, work)
    name, value = ("inputs_embeds", embeds) if outputs is None else ("encoder_outputs", outputs)
    if embeds is not None and (outputs is not None or input_ids is not None):
        other = "input_ids" if outputs is None else "encoder_outputs"
        raise UserError(f"inputs_embeds stand in the place of {other}; give one of them.")
    if encoder_policy is not None:
        raise UserError(
            f"encoder_policy says how tokens leave the encoder, and {name} have no tokens to ask "
            "it: leave one of them out."
        )
    states = _states(model, name, value)
    if input_ids is not None:
        read = check_inputs(model, input_ids, None)
        if len(read) != len(states):
            raise UserError(f"encoder_outputs has {len(states)} rows and input_ids {len(read)}.")
        if attention_mask is None and read.shape == states.shape[:2]:
            attention_mask = read
    mask = _check_mask(attention_mask, states.shape[:2], name, states.device)
    if name == "inputs_embeds":
        states = _encode_embeds(decoder, states, mask)
    return Memory(states, mask, input_ids)


def _states(model: ExitSeq2Seq, name: str, value: Any) -> Tensor:
    """Vectors ``[B, S, H]`` out of what was given."""
    states = value
    if name == "encoder_outputs":
        if isinstance(value, Mapping):  # transformers' outputs are mappings
            states = value.get("last_hidden_state")
        elif isinstance(value, tuple | list) and value:
            states = value[0]
    width = model.decoder.hidden_size
    if not isinstance(states, Tensor) or not states.is_floating_point():
        raise UserError(
            f"{name} must be states [B, S, {width}]"
            + (", alone in a tuple or in a BaseModelOutput" if name == "encoder_outputs" else "")
            + f", not {type(value).__name__}."
        )
    if states.ndim != 3 or states.shape[2] != width or not states.numel():
        raise UserError(f"{name} must have shape [B, S, {width}], not {list(states.shape)}.")
    return states.to(model.device)


def _encode_embeds(decoder: Decoder, embeds: Tensor, mask: Tensor) -> Tensor:
    network: Any = decoder.model
    if not torch.is_autocast_enabled(embeds.device.type):
        embeds = embeds.to(network.dtype)
    encoder = network.get_encoder()
    return encoder(inputs_embeds=embeds, attention_mask=mask).last_hidden_state


def check_ids(name: str, ids: Any, embedding: Any) -> None:
    """Refuse what is no batch of ids that an embedding has.

    Raises:
        UserError: Names what is wrong.
    """
    if not isinstance(ids, Tensor) or ids.is_floating_point():
        kind = str(ids.dtype) if isinstance(ids, Tensor) else type(ids).__name__
        raise UserError(f"{name} must be a tensor of whole numbers, not {kind}.")
    if ids.ndim != 2 or not ids.numel():
        raise UserError(f"{name} must have shape [B, S], not {list(ids.shape)}.")
    size, low, high = int(embedding.num_embeddings), int(ids.min()), int(ids.max())
    if low < 0 or high >= size:
        raise UserError(
            f"{name} go from {low} to {high}, but the vocabulary has {size} entries, counted from "
            "0. Is this the tokenizer that the model was trained with? If tokens were added to "
            "it, call resize_token_embeddings on the network, and train."
        )


def check_prompt(model: ExitSeq2Seq, prompt: Any, sources: int) -> None:
    """Refuse decoder tokens that cannot be read.

    Raises:
        UserError: Names what is wrong.
    """
    network: Any = model.network
    check_ids("decoder_input_ids", prompt, network.get_decoder().embed_tokens)
    if len(prompt) != sources:
        raise UserError(
            f"decoder_input_ids has {len(prompt)} rows for {sources} sources; give one a source."
        )


def check_inputs(model: ExitSeq2Seq, input_ids: Tensor, attention_mask: Tensor | None) -> Tensor:
    """Check sources; returns their mask, ``[B, S]``.

    Raises:
        UserError: Shapes that do not fit, ids outside the vocabulary, no real token in a row,
            or more tokens than the model reads.
    """
    check_ids("input_ids", input_ids, model.network.get_input_embeddings())
    if attention_mask is None:
        pad = _padding(model)
        attention_mask = torch.ones_like(input_ids) if pad is None else (input_ids != pad).long()
    mask = _check_mask(attention_mask, input_ids.shape, "input_ids", input_ids.device)
    most = model.decoder.max_length
    if most is not None and input_ids.shape[1] > most:
        raise UserError(
            f"A source has {input_ids.shape[1]} tokens and the model reads {most}. Cut it "
            "(truncation=True in the tokenizer), or use a model with relative positions."
        )
    return mask


def _padding(model: ExitSeq2Seq) -> int | None:
    """The token that fills rows up; where it ends texts as well, nobody can tell which it does."""
    config, own = model.network.config, cast(Any, model.network.generation_config)
    ends = own.eos_token_id if own.eos_token_id is not None else config.eos_token_id
    pad: Any = config.pad_token_id
    return None if pad in (ends if isinstance(ends, list) else [ends]) else pad


def _check_mask(mask: Tensor | None, shape: Any, name: str, device: torch.device) -> Tensor:
    if mask is None:
        return torch.ones(*shape, dtype=torch.long, device=device)
    if mask.shape != shape:
        raise UserError(
            f"attention_mask has shape {list(mask.shape)} and {name} {list(shape)}; they must be "
            "the same."
        )
    empty = (mask.sum(dim=1) == 0).nonzero().flatten().tolist()
    if empty:
        raise UserError(
            f"Source {empty[0]} of the batch is padding only. An empty text still has its end "
            "token: tokenize it, or leave the row out."
        )
    return mask
