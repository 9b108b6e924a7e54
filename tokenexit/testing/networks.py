"""Tiny networks of transformers, and batches to run through them. Nothing is downloaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import (
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
    AutoModelForSeq2SeqLM,
    AutoModelForTokenClassification,
    PretrainedConfig,
)

from tokenexit.backbones import BACKBONES, Backbone, adapt
from tokenexit.decoders import DECODERS, Decoder, adapt_decoder

LENGTHS = ((19, 7, 12), (13, 13))
"""Of the texts of two batches: one is padded, the other is not."""


@dataclass(frozen=True)
class Batch:
    """Token ids ``[B, M]``, padded on the right, with their mask and places."""

    input_ids: Tensor
    mask: Tensor
    positions: Tensor

    @property
    def real(self) -> Tensor:
        """True where a token is no padding, ``[B, M]``."""
        return self.mask.bool()


def make_batch(lengths: tuple[int, ...], vocab_size: int = 120) -> Batch:
    """Random texts, padded with an id that every family takes as padding."""
    sizes = torch.tensor(lengths)
    draw = torch.Generator().manual_seed(0)
    positions = torch.arange(int(sizes.max())).expand(len(sizes), -1)
    mask = (positions < sizes[:, None]).long()
    ids = torch.randint(5, vocab_size, positions.shape, generator=draw)
    return Batch(ids.where(mask.bool(), 1), mask, positions)


def tiny_backbone(
    model_type: str, changes: Mapping[str, Any] | None = None, attention: str = "eager"
) -> Backbone:
    """A seeded network that names five classes of words, in its adapter, in eval mode.

    Args:
        model_type: A registered family.
        changes: Of the family's ``example_config``.
        attention: ``eager`` or ``sdpa``.
    """
    torch.manual_seed(0)
    config = _changed(
        BACKBONES.get(model_type).example_config(model_type), {"num_labels": 5, **(changes or {})}
    )
    model = AutoModelForTokenClassification.from_config(config, attn_implementation=attention)
    _sharpen(model)
    return adapt(model.eval())


def tiny_decoder(
    model_type: str, changes: Mapping[str, Any] | None = None, attention: str = "eager"
) -> Decoder:
    """A seeded encoder-decoder in its adapter, in eval mode; as ``tiny_backbone``."""
    torch.manual_seed(0)
    config = _changed(DECODERS.get(model_type).example_config(model_type), changes or {})
    model = AutoModelForSeq2SeqLM.from_config(config, attn_implementation=attention)
    _sharpen(model)
    with torch.no_grad():
        for bias in model.buffers():  # the bias on the logits, zero until it is loaded
            bias.normal_()
    return adapt_decoder(model.eval())


def attentions(model_type: str, decodes: bool = False) -> tuple[str, ...]:
    """Implementations of attention that a family of encoders or decoders has, ``eager`` first."""
    known, mapping = (
        (DECODERS, MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING)
        if decodes
        else (BACKBONES, MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING)
    )
    model_class: Any = mapping[type(known.get(model_type).example_config(model_type))]
    return ("eager", "sdpa") if model_class._supports_sdpa else ("eager",)


def gradients(model: Any, logits: Tensor) -> dict[str, Tensor]:
    """Gradients of a fixed function of logits ``[..., C]``, by name of the weight."""
    model.zero_grad()
    (logits * torch.linspace(-1, 1, logits.shape[-1])).square().mean().backward()
    return {name: w.grad.clone() for name, w in model.named_parameters() if w.grad is not None}


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Make tensors and networks in another precision."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _changed(config: PretrainedConfig, changes: Mapping[str, Any]) -> PretrainedConfig:
    for name, value in changes.items():
        setattr(config, name, value)
    return config


def _sharpen(model: Any) -> None:
    """As initialised, attention is all but uniform and would hide mistakes."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.2 if weight.dim() > 1 else 0.1)
