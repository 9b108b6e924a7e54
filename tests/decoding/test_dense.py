"""Decoding in few bits is the plain reference in the same bits: the same words, the same exits."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from tokenexit import kernels, policies
from tokenexit.backbones.dense import DenseBf16, DenseInt8, dense
from tokenexit.decoders import DECODERS, adapt_decoder
from tokenexit.decoding.compiled import CompiledDecoding
from tokenexit.decoding.reference import decode_plain

FAMILIES = [name for name, _ in DECODERS.items()]
WAYS = ("int8-kernels", "int8-torch", "bf16-kernels")
POLICIES = (policies.Never(), policies.Hash(1, 4), policies.Margin(0.3))
STEPS = 8


@pytest.fixture(scope="module", params=FAMILIES)
def plain(request: pytest.FixtureRequest, build: Any) -> Any:
    """In float32."""
    return build(request.param, dtype=torch.float32)


@pytest.mark.parametrize("way", WAYS)
def test_same_words_same_exits(
    way: str, plain: Any, sources: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    precision, products = way.split("-")
    compiled = products == "kernels"
    if not compiled:
        monkeypatch.setattr(kernels, "library", lambda: None)
    elif kernels.library() is None:
        pytest.skip(kernels.status())
    kind = DenseInt8 if precision == "int8" else DenseBf16
    wanted, low = dense(plain.decoder, adapt_decoder, kind), copy.deepcopy(plain).use(precision)
    close, all_rows = 0, 0
    for policy in POLICIES:
        found: Any = low.generate(
            **sources.inputs, policy=policy, max_new_tokens=STEPS,
            num_beams=1, do_sample=False, eos_token_id=None, return_dict_in_generate=True,
        )  # fmt: skip
        read = found.sequences[:, :-1]
        decoding = low.start(**sources.inputs, policy=policy, max_steps=STEPS)
        assert isinstance(decoding, CompiledDecoding) == compiled
        logits = torch.stack([decoding.step(tokens).logits for tokens in read.T], dim=1)
        # Kernels keep keys and values in half the room.
        with torch.no_grad():
            memory = wanted.encode(sources.input_ids, sources.mask)
            known, layers = decode_plain(
                wanted, plain.exits(wanted), memory, sources.mask, read, policy,
                max_steps=STEPS, kept=torch.bfloat16 if compiled else None,
            )  # fmt: skip
        assert torch.equal(found.exit_layers, layers)
        assert torch.equal(found.sequences[:, 1:], known.argmax(dim=-1))
        apart = (logits - known).abs().amax(dim=-1)
        # Attention adds up in other orders: where that takes a number over to the next step, what
        # comes of it is a step away.
        assert apart.max() < 0.05 * known.abs().max()
        close, all_rows = close + int((apart < 1e-4).sum()), all_rows + apart.numel()
    assert close > 0.6 * all_rows


def test_the_reference_is_the_transformers_model(plain: Any, sources: Any) -> None:
    """At full depth: its pieces give what the whole does that they were taken from."""
    wanted = dense(plain.decoder, adapt_decoder)
    with torch.no_grad():
        memory = wanted.encode(sources.input_ids, sources.mask)
        given = wanted, plain.exits(wanted), memory, sources.mask, sources.tokens
        logits, _ = decode_plain(*given, policies.Never())
        whole = wanted.model(
            input_ids=sources.input_ids,
            attention_mask=sources.mask,
            decoder_input_ids=sources.tokens,
        ).logits
    apart = (logits - whole).abs().amax(dim=-1)
    assert apart.median() < 1e-4
    assert apart.max() < 0.05 * whole.abs().max()
    unrounded = plain.network(
        input_ids=sources.input_ids,
        attention_mask=sources.mask,
        decoder_input_ids=sources.tokens,
    ).logits
    assert (unrounded - whole).abs().median() > 1e-3
