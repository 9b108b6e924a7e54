"""Types of numbers that differ within one model: half precision with float32 parts, autocast."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM

from tokenexit import ExitModelForSeq2SeqLM, policies
from tokenexit.decoders import DECODERS
from tokenexit.decoding.cache import DecoderCache
from tokenexit.decoding.teacher_forcing import Pair, PairBatch, teacher_forcing

HASH = policies.Hash(1, 4)
FAMILIES = [name for name, _ in DECODERS.items()]
PENDING = ("lazy", "eager", "parallel", "verify")


@pytest.fixture(scope="module")
def half(build: Any, tmp_path_factory: Any) -> Any:
    """A family loaded in a type, as transformers loads it: T5 keeps some weights in float32."""

    def make(family: str, dtype: torch.dtype, **changes: Any) -> ExitModelForSeq2SeqLM:
        config = DECODERS.get(family).example_config(family)
        for name, value in changes.items():
            setattr(config, name, value)
        torch.manual_seed(0)
        folder = tmp_path_factory.mktemp(family)
        network: Any = AutoModelForSeq2SeqLM.from_config(config)
        with torch.no_grad():
            for name, weight in network.named_parameters():
                if "embed_positions" not in name:
                    weight.add_(torch.randn_like(weight), alpha=0.1)
        ExitModelForSeq2SeqLM.from_transformers(network, gate=True, depth=True).save_pretrained(
            folder
        )
        return ExitModelForSeq2SeqLM.from_pretrained(folder, dtype=dtype)

    return make


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    ("family", "changes"),
    [*((name, {}) for name in FAMILIES), ("t5", {"feed_forward_proj": "gated-gelu"})],
    ids=str,
)
def test_models_loaded_in_half(half, sources, plain, family, changes, dtype):
    model = half(family, dtype, **changes)
    if family in ("t5", "mt5") and dtype == torch.float16:
        assert len({weight.dtype for weight in model.network.parameters()}) == 2
    _everything(model, sources)
    eager, lazy = (
        _steps(model, sources, policy=HASH, pending=pending) for pending in ("eager", "lazy")
    )
    torch.testing.assert_close(lazy, eager, rtol=0.02, atol=0.02)


def _everything(model: Any, sources: Any) -> None:
    settings = {**sources.inputs, "max_new_tokens": 4}
    for pending in PENDING:
        model.generate(policy=HASH, pending=pending, **settings)
    model.generate(policy=HASH, num_beams=2, **settings)
    model.generate(policy=HASH, encoder_policy=policies.Hash(1, 2), **settings)
    for policy in (policies.LearnedGate(0.5), policies.Margin(0.1), policies.Shortlist()):
        model.generate(policy=policy, **settings)


def _steps(model: Any, sources: Any, **options: Any) -> Any:
    decoding = model.start(**sources.inputs, **options)
    return torch.stack([decoding.step(t).logits.float() for t in sources.tokens.T], dim=1)


@pytest.mark.parametrize("family", ["t5", "mt5"])
def test_t5_in_half_decides_as_in_single(half, build, sources, family):
    single, model = half(family, torch.float32), half(family, torch.float16)
    for policy, source in ((HASH, "never"), ("never", policies.Hash(1, 2))):
        mine = _steps(model, sources, policy=policy, encoder_policy=source)
        theirs = _steps(single, sources, policy=policy, encoder_policy=source)
        torch.testing.assert_close(mine, theirs, rtol=0.1, atol=0.1)


def test_t5s_states_beyond_half_precision_are_kept(half, sources):
    model = half("t5", torch.float16)
    with torch.no_grad():
        for block in model.network.decoder.block:
            block.layer[-1].DenseReluDense.wo.weight.mul_(1e7)
    expected = _steps(model, sources, policy="never")
    assert expected.isfinite().all()
    for pending in ("lazy", "eager", "parallel"):
        assert _steps(model, sources, policy=HASH, pending=pending).isfinite().all()
    for block in model.network.encoder.block:
        block.layer[-1].DenseReluDense.wo.weight.data.mul_(1e7)
    early = _steps(model, sources, policy="never", encoder_policy=policies.Hash(1, 2))
    assert early.isfinite().all()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_generating_under_autocast(build, sources, transformers_generate, family, dtype):
    model = build(family, dtype=torch.float32)
    with torch.autocast("cpu", dtype=dtype):
        expected = transformers_generate(model, sources, max_new_tokens=6, do_sample=False)
        found = model.generate(**sources.inputs, policy="never", max_new_tokens=6)
        assert torch.equal(found, expected)
        _everything(model, sources)


@pytest.mark.parametrize("family", FAMILIES)
def test_autocast_may_begin_and_end_between_steps(build, sources, family):
    model = build(family, dtype=torch.float32)
    for inside in ((True, False, True), (False, True, False), (True, False, False)):
        decoding = None
        for number, on in enumerate(inside):
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=on):
                if decoding is None:
                    decoding = model.start(**sources.inputs, policy=HASH, pending="eager")
                    decoding.fork(2)
                    continue
                tokens = sources.tokens[:, number].repeat_interleave(2)
                assert decoding.step(tokens).logits.isfinite().all()
                decoding.reorder(torch.arange(8).flip(0))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("leaving", [False, True])
def test_teaching_under_autocast(build, family, leaving):
    model = build(family, dtype=torch.float32)

    class Watcher:
        def arrive(self, signals: Any, words: Any) -> Any:
            assert signals.logits.isfinite().all()
            return signals.item_id % 2 == signals.layer % 2 if leaving else None

        def leave(self, halted: Any, staying: Any) -> None: ...

    pairs = [Pair([5, 6, 7], [8, 9, 2], [2, 8, 9]), Pair([9, 5], [7, 2], [2, 7])]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = teacher_forcing(
            model.decoder, model.exits(model.decoder), PairBatch.of(pairs, 1, "cpu"), Watcher()
        )
    assert len(states) == 4


def test_a_cache_keeps_the_widest_type_it_was_given(build):
    decoder = build("t5").decoder
    cache = DecoderCache(decoder, 2, torch.device("cpu"))
    cache.grow()
    narrow = torch.full((2, decoder.hidden_size), 0.1, dtype=torch.bfloat16)
    cache.leave(slice(0, 1), narrow)
    assert cache.states(torch.tensor([0])).dtype == torch.bfloat16
    cache.grow()
    wide = torch.full((1, decoder.hidden_size), 1e5, dtype=torch.float32)
    cache.leave(cache.flat(*(torch.tensor([n]).numpy() for n in (1, 1))), wide)
    kept = cache.states(torch.tensor([0, 33]))
    assert kept.dtype == torch.float32
    assert torch.equal(kept[1], wide[0])
    assert torch.equal(kept[0], narrow[0].float())
