"""Tiny encoder-decoders of every registered family, and batches to run through them.

A test that asks for ``decoder`` runs for every registered model type, for the variants below
and for every attention implementation that the family has; one that asks for
``eager_decoder`` runs without the last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    AutoModelForSeq2SeqLM,
    PretrainedConfig,
)

from tokenexit.decoders import DECODERS, Decoder, adapt_decoder

UNTIED = {"tie_word_embeddings": False}
GATED = {"feed_forward_proj": "gated-gelu", "is_gated_act": True, "dense_act_fn": "gelu_new"}
PLAIN = {"feed_forward_proj": "relu", "is_gated_act": False, "dense_act_fn": "relu"}

# Same family, another path through its code: (name, model type, changes to its example).
VARIANTS: list[tuple[str, str, dict[str, Any]]] = [
    ("t5-wide-heads", "t5", {"d_kv": 12}),
    ("t5-gated-untied", "t5", {**GATED, **UNTIED, "scale_decoder_outputs": False}),
    ("t5-untied", "t5", UNTIED),
    ("mt5-plain-narrow-heads", "mt5", {**PLAIN, "d_kv": 4}),
    ("mt5-untied", "mt5", UNTIED),
    ("bart-scaled", "bart", {"scale_embedding": True, "activation_dropout": 0.1}),
    ("bart-untied", "bart", UNTIED),
    ("bart-uneven", "bart", {"encoder_attention_heads": 2, "encoder_ffn_dim": 40}),
    ("marian-scaled", "marian", {"scale_embedding": True, "attention_dropout": 0.1}),
    (
        "marian-two-vocabularies",
        "marian",
        {"share_encoder_decoder_embeddings": False, "decoder_vocab_size": 90},
    ),
    ("mbart-scaled", "mbart", {"scale_embedding": True, "attention_dropout": 0.1}),
    ("mbart-untied", "mbart", UNTIED),
    ("pegasus-scaled", "pegasus", {"scale_embedding": True}),
]


@dataclass
class Batch:
    """Sources ``[B, S]``, padded on the right, and targets ``[B, T]`` that need no padding."""

    input_ids: Tensor
    mask: Tensor
    target_ids: Tensor

    @property
    def places(self) -> Tensor:
        """Place of every target token, ``[B, T]``."""
        return torch.arange(self.target_ids.shape[1]).expand_as(self.target_ids)


def _config(model_type: str, changes: dict[str, Any]) -> PretrainedConfig:
    config = DECODERS.get(model_type).example_config(model_type)
    for name, value in changes.items():
        setattr(config, name, value)
    return config


def _build(model_type: str, changes: dict[str, Any], attention: str) -> Decoder:
    torch.manual_seed(0)
    config = _config(model_type, changes)
    model = AutoModelForSeq2SeqLM.from_config(config, attn_implementation=attention)
    with torch.no_grad():
        for weight in model.parameters():
            # As initialised, attention is all but uniform and would hide mistakes.
            weight.add_(torch.randn_like(weight), alpha=0.2 if weight.dim() > 1 else 0.1)
        for bias in model.buffers():  # the bias on the logits, zero until it is loaded
            bias.normal_()
    return adapt_decoder(model.eval())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Spread a test over families, variants and attention implementations."""
    cases = [(name, name, {}) for name, _ in DECODERS.items()] + VARIANTS
    for fixture, attentions in [("decoder", ("eager", "sdpa")), ("eager_decoder", ("eager",))]:
        if fixture not in metafunc.fixturenames:
            continue
        params = []
        for name, model_type, changes in cases:
            model_class: Any = MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING[
                type(_config(model_type, changes))
            ]
            for attention in attentions:
                if attention == "eager" or model_class._supports_sdpa:
                    case = (model_type, changes, attention)
                    params.append(pytest.param(case, id=f"{name}-{attention}"))
        metafunc.parametrize(fixture, params, indirect=True)


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    """Models in double precision: T5's scores are not scaled, and magnify rounding."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture
def decoder(request: pytest.FixtureRequest) -> Decoder:
    """A fresh tiny model in its adapter, in eval mode."""
    return _build(*request.param)


@pytest.fixture
def eager_decoder(request: pytest.FixtureRequest) -> Decoder:
    """The same, eager attention only."""
    return _build(*request.param)


@pytest.fixture(params=[(19, 7, 12), (13, 13)], ids=["padded", "even"])
def batch(request: pytest.FixtureRequest) -> Batch:
    """Random sources and targets, whose ids every vocabulary has."""
    lengths = torch.tensor(request.param)
    draw = torch.Generator().manual_seed(0)
    mask = (torch.arange(int(lengths.max())) < lengths[:, None]).long()
    sources = torch.randint(5, 90, mask.shape, generator=draw)
    targets = torch.randint(5, 90, (len(lengths), 23), generator=draw)
    return Batch(sources.where(mask.bool(), 1), mask, targets)
