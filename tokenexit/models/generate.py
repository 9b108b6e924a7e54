"""``generate`` of a model with exits: check, let transformers loop, gather what happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.utils import ModelOutput

from tokenexit.decoding import Acceptance, DecodeWork, Generator, VerifyingGenerator, refuse
from tokenexit.errors import UserError
from tokenexit.policies import Policy
from tokenexit.policies.base import walk

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
) -> Tensor | Generated:
    """See ``ExitModelForSeq2SeqLM.generate``."""
    mask = check_inputs(model, input_ids, attention_mask)
    refuse(settings)
    check_policy(policy)
    model.eval()
    settings = dict(settings)
    whole = settings.pop("return_dict_in_generate", False)
    for name in ("max_new_tokens", "max_length"):
        if settings.get(name) is not None and settings[name] < 1:
            raise UserError(f"{name} must be 1 or more, not {settings[name]!r}.")
    found = _generate(model, input_ids, mask, policy, pending, settings)
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
        generator: Generator = VerifyingGenerator(network, start, sources, draft)
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


def check_inputs(
    model: ExitModelForSeq2SeqLM, input_ids: Tensor, attention_mask: Tensor | None
) -> Tensor:
    """Check sources; returns their mask, ``[B, S]``.

    Raises:
        UserError: Shapes that do not fit, ids outside the vocabulary, no real token in a row,
            or more tokens than the model reads.
    """
    if input_ids.ndim != 2 or not input_ids.numel():
        raise UserError(f"input_ids must have shape [B, S], not {list(input_ids.shape)}.")
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
    size = int(model.network.get_input_embeddings().weight.shape[0])  # type: ignore[union-attr]
    low, high = int(input_ids.min()), int(input_ids.max())
    if low < 0 or high >= size:
        raise UserError(
            f"input_ids go from {low} to {high}, but the vocabulary has {size} entries. Is this "
            "the tokenizer that the model was trained with?"
        )
    most = model.decoder.max_length
    if most is not None and input_ids.shape[1] > most:
        raise UserError(
            f"A source has {input_ids.shape[1]} tokens and the model reads {most}. Cut it "
            "(truncation=True in the tokenizer), or use a model with relative positions."
        )
    return mask


def check_policy(policy: Policy) -> None:
    """Refuse policies that have no meaning for generated tokens.

    Raises:
        UserError: Names the part and the levels it works at.
    """
    for part in walk(policy):
        if "step" not in part.levels:
            raise UserError(
                f"{part!r} has no meaning for generated tokens: it works at the levels "
                f"{', '.join(part.levels)}."
            )
        if part.needs_target:
            raise UserError(f"{part!r} looks at gold labels; it serves analysis only.")
