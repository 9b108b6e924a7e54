"""Every registered decoder keeps its promises; what is none is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    T5EncoderModel,
)

from tokenexit.decoders import DECODERS, adapt_decoder
from tokenexit.decoders.t5 import T5Decoder
from tokenexit.errors import UserError
from tokenexit.testing import check_decoder
from tokenexit.testing.networks import tiny_decoder


def test_a_decoder_keeps_its_promises(family):
    model_type, changes = family
    check_decoder(model_type, **changes)


class Scaled(T5Decoder):
    """Scales scores that T5 does not scale."""

    scaling = 0.5


class Absolute(T5Decoder):
    """Has a bias by place."""

    def bias(self, query_pos, key_pos):
        return super().bias(query_pos, key_pos) + key_pos[..., None, None, :] / 100


class Dear(T5Decoder):
    """Counts the vocabulary twice."""

    def vocabulary_cost(self):
        return 2 * super().vocabulary_cost()


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (Scaled, "states before layer 1 differ"),
        (Absolute, "(100 places later|states before layer 1 differ)"),
        (Dear, "and torch counts"),
    ],
)
def test_a_broken_decoder_is_told_what_to_mend(broken, told, monkeypatch):
    monkeypatch.setattr(DECODERS, "_members", {**DECODERS._members, "t5": broken})
    with pytest.raises(AssertionError, match=rf"(?s){broken.__name__}\('t5'\).*{told}"):
        check_decoder(broken)


@pytest.mark.parametrize(
    "model_type", [name for name, cls in DECODERS.items() if issubclass(cls, T5Decoder)]
)
@torch.no_grad()
def test_t5_stays_finite_in_half_precision(model_type: str) -> None:
    config = DECODERS.get(model_type).example_config(model_type)
    decoder = adapt_decoder(AutoModelForSeq2SeqLM.from_config(config).half().eval())
    rows = torch.full((2, 32), 60_000, dtype=torch.float16)
    read = torch.full((2, 32), 60_000, dtype=torch.float16)
    for piece in (decoder.after_self, decoder.after_cross):
        got = piece(0, rows, read)
        assert got.dtype == torch.float16
        assert got.isfinite().all()


def test_untied_variants_are_untied(family):
    decoder = tiny_decoder(*family)
    words: Any = decoder.model.get_decoder().embed_tokens
    tied = decoder.final_head().weight is words.weight
    assert tied == decoder.config.tie_word_embeddings


def test_unknown_family_is_refused_with_the_known_ones() -> None:
    config = AutoConfig.for_model(
        "blenderbot-small",
        vocab_size=120,
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
    )
    with pytest.raises(UserError, match="'blenderbot-small'") as caught:
        adapt_decoder(AutoModelForSeq2SeqLM.from_config(config))
    assert all(name in str(caught.value) for name, _ in DECODERS.items())


def test_half_of_an_encoder_decoder_is_refused() -> None:
    bert = AutoConfig.for_model(
        "bert", vocab_size=120, hidden_size=32, num_hidden_layers=1, num_attention_heads=4
    )
    bart = DECODERS.get("bart").example_config("bart")
    for model in (
        AutoModelForTokenClassification.from_config(bert),
        AutoModelForCausalLM.from_config(bart),
        T5EncoderModel(DECODERS.get("t5").example_config("t5")),
    ):
        with pytest.raises(UserError, match="is not an encoder-decoder") as caught:
            adapt_decoder(model)
        assert type(model).__name__ in str(caught.value)
        assert "pegasus" in str(caught.value)


def test_a_model_without_a_vocabulary_is_refused() -> None:
    config = DECODERS.get("t5").example_config("t5")
    with pytest.raises(UserError, match=r"no vocabulary head.*AutoModelForSeq2SeqLM"):
        adapt_decoder(AutoModelForSequenceClassification.from_config(config))
