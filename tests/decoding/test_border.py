"""What a generator hands out may be trained with and changed; what it is given stays as it was."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import LogitsProcessor, StoppingCriteria

from tokenexit import ExitModelForSeq2SeqLM, policies
from tokenexit.models.generation.generate import Generated

HASH = policies.Hash(1, 4)


@pytest.fixture
def fresh(some_model: Any) -> Any:
    """A model whose mode and weights may be changed, on the lean twin."""
    network = copy.deepcopy(some_model.network).float()
    return ExitModelForSeq2SeqLM.from_transformers(network, gate=True, depth=True).eval()


def tensors(found: Generated) -> list[Tensor]:
    several = [*(found.scores or ()), *(found.logits or ())]
    return [v for v in (*found.values(), *several) if isinstance(v, Tensor)]


@pytest.mark.parametrize("pending", ["lazy", "verify"])
@pytest.mark.parametrize("settings", [{}, {"num_beams": 2}, {"output_scores": True}], ids=str)
def test_all_that_generate_gives_may_be_changed(fresh, sources, pending, settings):
    if pending == "verify" and settings:
        return
    found = fresh.generate(
        **sources.inputs, policy=HASH, pending=pending, max_new_tokens=4,
        return_dict_in_generate=True, **settings,
    )  # fmt: skip
    assert len(tensors(found)) >= 2
    for tensor in tensors(found):
        assert not tensor.is_inference()
        tensor[:1] = 0


def test_what_was_generated_may_be_learned_from(fresh, sources):
    labels = fresh.generate(**sources.inputs, policy=HASH, max_new_tokens=4)
    labels[labels == 1] = -100
    fresh.requires_grad_(True)
    fresh.network(**sources.inputs, labels=labels).loss.backward()
    memory = torch.zeros(4, 120, requires_grad=True)
    logits = fresh.start(**sources.inputs, policy=HASH).step(sources.tokens[:, 0]).logits
    (logits * memory).sum().backward()
    assert torch.equal(memory.grad, logits)


def test_steps_may_be_changed_whatever_was_done_before(fresh, sources):
    decoding = fresh.start(**sources.inputs, policy=HASH, pending="parallel")
    decoding.fork(2)
    decoding.reorder(torch.arange(8).flip(0))
    step = decoding.step(sources.tokens[:, 0].repeat_interleave(2))
    other = fresh.start(**sources.inputs, policy=HASH, pending="parallel")
    checked = other.verify(sources.tokens[:, 1])
    for tensor in (step.logits, step.exit_layers, checked):
        assert not tensor.is_inference()
        tensor += 1


def test_begun_in_one_mode_and_gone_on_with_in_another(fresh, sources):
    first, second = sources.tokens[:, 0], sources.tokens[:, 1]
    modes = (torch.inference_mode, torch.no_grad, torch.enable_grad)
    seen = []
    for before in modes:
        for after in modes:
            with before():
                decoding = fresh.start(**sources.inputs, policy=HASH)
                decoding.step(first)
            with after():
                seen.append(decoding.step(second).logits.clone())
            decoding.reorder(torch.tensor([1, 0, 3, 2]))
            decoding.step(second)
    for logits in seen:
        torch.testing.assert_close(logits, seen[0], rtol=1e-5, atol=1e-5)


class Keeps(LogitsProcessor, StoppingCriteria):
    """Code of the caller's that keeps what it is shown."""

    def __init__(self) -> None:
        self.kept: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Any) -> Any:  # type: ignore[override]
        self.kept += [x for x in (input_ids, scores) if x is not None]
        return torch.zeros(len(input_ids), dtype=torch.bool) if scores is None else scores

    def put(self, value: Tensor) -> None:
        self.kept.append(value)

    def end(self) -> None:
        pass


@pytest.mark.parametrize("name", ["logits_processor", "stopping_criteria", "streamer"])
def test_the_callers_own_code_may_keep_what_it_sees(fresh, sources, name):
    keeps = Keeps()
    given: Any = keeps if name == "streamer" else [keeps]
    one = {key: value[:1] for key, value in sources.inputs.items()}
    found = fresh.generate(**one, policy=HASH, max_new_tokens=4, **{name: given})
    assert torch.equal(found, fresh.generate(**one, policy=HASH, max_new_tokens=4))
    assert keeps.kept
    for tensor in keeps.kept:
        assert not tensor.is_inference()
        tensor += 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("part", ["all", "decoder", "none"])
def test_no_mode_is_changed_and_none_matters(fresh, sources, dtype, part):
    model = fresh.to(dtype)
    settings = {"policy": HASH, "max_new_tokens": 5}
    expected = model.generate(**sources.inputs, **settings)
    {"all": model, "decoder": model.network.get_decoder()}.get(part, model.gate).train()
    before = [module.training for module in model.modules()]
    own = model.network.generation_config.to_dict(), model.network.config.to_dict()
    assert any(before)
    for _ in range(2):
        assert torch.equal(model.generate(**sources.inputs, **settings), expected)
        hashed = model.generate(**sources.inputs, encoder_policy=HASH, **settings)
        assert torch.equal(
            hashed, model.generate(**sources.inputs, encoder_policy=HASH, **settings)
        )
        model.start(**sources.inputs).step(sources.tokens[:, 0])
    assert [module.training for module in model.modules()] == before
    assert (model.network.generation_config.to_dict(), model.network.config.to_dict()) == own


def test_eager_attention_left_in_training_mode_is_still_exact(build, sources):
    model = build("bart", attention="eager")
    copied = ExitModelForSeq2SeqLM.from_transformers(copy.deepcopy(model.network)).train()
    tokens = sources.tokens[:, 0]
    one = copied.start(**sources.inputs, policy="never").step(tokens).logits
    assert torch.equal(one, model.start(**sources.inputs, policy="never").step(tokens).logits)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_model_left_in_training_mode_serves_several_threads(fresh, make_sources, dtype):
    model = fresh.to(dtype)
    batches = [make_sources((5, 3), seed=seed) for seed in range(12)]
    settings = {"policy": HASH, "max_new_tokens": 4}
    expected = [model.generate(**batch.inputs, **settings) for batch in batches]
    model.train()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda batch: model.generate(**batch.inputs, **settings), batches))
    for mine, theirs in zip(found, expected, strict=True):
        assert torch.equal(mine, theirs)
    assert all(module.training for module in model.modules())
