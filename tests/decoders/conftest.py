"""Every registered family of encoder-decoders, as it is and in variants."""

from __future__ import annotations

from typing import Any

import pytest

from tokenexit.decoders import DECODERS

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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Spread a test that asks for ``family`` over families and variants."""
    if "family" in metafunc.fixturenames:
        cases = [(name, name, {}) for name, _ in DECODERS.items()] + VARIANTS
        metafunc.parametrize("family", [pytest.param(case[1:], id=case[0]) for case in cases])
