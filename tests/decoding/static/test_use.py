"""``use(runtime="static")`` of generators: what is served, and what is said of the rest."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from tokenexit import ExitModelForSeq2SeqLM, policies
from tokenexit.decoding import Decoding
from tokenexit.decoding.static import StaticDecoding, sizes
from tokenexit.errors import UserError

GREEDY: dict[str, Any] = {"max_new_tokens": 12, "num_beams": 1, "do_sample": False}


@pytest.fixture
def own(build: Any) -> ExitModelForSeq2SeqLM:
    """A generator of its own for each test."""
    return copy.deepcopy(build("t5"))


def refused(what: str) -> Any:
    return pytest.raises(UserError, match=rf'(?s)runtime="static".*{what}.*eager')


def test_auto_is_eager_until_static_has_been_timed(own, sources):
    assert isinstance(own.start(**sources.inputs), Decoding)
    own.use(runtime="static")
    assert own.runtime == own.runtime_used == "static"
    assert isinstance(own.start(**sources.inputs), StaticDecoding)
    own.use(runtime="auto")
    assert isinstance(own.start(**sources.inputs), Decoding)


def test_kept_between_generations_and_made_anew_where_weights_have_changed(own, sources, choose):
    policy = choose(own, "gate")
    own.use(runtime="static")
    given = {**sources.inputs, "policy": policy, **GREEDY}
    first = own.generate(**given)
    static = own.start(**sources.inputs).static
    assert own.start(**sources.inputs).static is static
    with torch.no_grad():
        own.network.get_decoder().block[1].layer[2].DenseReluDense.wi.weight.mul_(3)
        own.network.get_decoder().block[0].layer[
            0
        ].SelfAttention.relative_attention_bias.weight.neg_()
        own.gate.project.weight.mul_(-2)
    second = own.generate(**given)
    assert not torch.equal(first, second)
    assert torch.equal(own.use(runtime="eager").generate(**given), second)


def test_texts_by_predict_and_from_a_folder(own, words, tmp_path, choose):
    own.tokenizer = words(0)
    own.configure(policy=choose(own, "margin"), generation={"max_new_tokens": 10})
    texts = ["w5 w6 w7", "w80", "", "w9 w9 w9 w9"] * 5
    before = own.predict(texts, batch_size=3)
    assert own.use(runtime="static").predict(texts, batch_size=3) == before
    own.save_pretrained(tmp_path)
    loaded = ExitModelForSeq2SeqLM.from_pretrained(tmp_path, runtime="static")
    assert [t.text for t in loaded.predict(texts)] == [t.text for t in before]


def test_threads_share_a_model(own, make_sources, choose):
    policy = choose(own, "margin")
    batches = [make_sources((4, 7, 2), seed=seed) for seed in range(8)]
    alone = [own.generate(**b.inputs, policy=policy, **GREEDY) for b in batches]
    own.use(runtime="static")
    with ThreadPoolExecutor(4) as pool:
        found = [*pool.map(lambda b: own.generate(**b.inputs, policy=policy, **GREEDY), batches)]
    assert all(map(torch.equal, alone, found))


# --- refusals ----------------------------------------------------------------------------------


def test_families_that_are_not_served(own, sources, monkeypatch):
    monkeypatch.setattr(type(own.decoder), "capturable", False)
    with refused("models of type 't5'"):
        own.use(runtime="static")
    assert own.runtime == "auto"
    monkeypatch.undo()
    own.use(runtime="static")
    monkeypatch.setattr(type(own.decoder), "capturable", False)
    with refused("models of type 't5'"):
        own.generate(**sources.inputs, **GREEDY)


@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_precisions_that_round(build, sources, precision):
    model = copy.deepcopy(build("bart", dtype=torch.float32))
    with refused("reduced precision on a CPU"):
        model.use(precision=precision, runtime="static")
    model.use(runtime="static")
    with refused("reduced precision on a CPU"):
        model.use(precision=precision)
    model.use(precision="fp32").generate(**sources.inputs, **GREEDY)


@pytest.mark.parametrize("name", ["two_stage", "nested", "depth"])
@pytest.mark.parametrize("pending", ["lazy", "verify"])
def test_policies_without_a_rule(own, sources, choose, name, pending):
    own.use(runtime="static")
    policy, given = choose(own, name), {**sources.inputs, "pending": pending, **GREEDY}
    with refused("the policy"):
        own.generate(**given, policy=policy)
    own.use(runtime="eager").generate(**given, policy=policy)


def test_a_policy_refused_in_the_middle_leaves_the_decoding_as_it_was(own, sources, choose):
    decoding = own.use(runtime="static").start(**sources.inputs, policy="never")
    other = own.use(runtime="eager").start(**sources.inputs, policy="never")
    for tokens in sources.tokens.T:
        with refused("the policy"):
            decoding.step(tokens, policy=choose(own, "two_stage"))
        with pytest.raises(IndexError):
            decoding.step(torch.full_like(tokens, 4000))
        torch.testing.assert_close(decoding.step(tokens).logits, other.step(tokens).logits)


@pytest.mark.parametrize(
    ("policy", "what"),
    [
        (policies.LearnedGate(0.1), "learned gate, and the model has none"),
        (policies.ContextGate(0.1), "context gate, and the model has none"),
        (policies.Decay(policies.Margin(0.5)), "largest number of steps"),
    ],
    ids=repr,
)
def test_what_a_policy_reads_is_not_there(build, sources, policy, what):
    bare = ExitModelForSeq2SeqLM.from_transformers(build("t5").network).eval()
    for runtime in ("eager", "static"):
        with pytest.raises(UserError, match=what):
            bare.use(runtime=runtime).start(**sources.inputs, policy=policy).step(
                sources.tokens[:, 0]
            )


def test_hooks_and_autocast(own, sources):
    own.use(runtime="static")
    block = own.network.get_decoder().block[0].layer[0].SelfAttention.q
    handle = block.register_forward_hook(lambda *_: None)
    with refused("hooks"):
        own.generate(**sources.inputs, **GREEDY)
    handle.remove()
    with torch.autocast("cpu", torch.bfloat16), refused("autocast"):
        own.generate(**sources.inputs, **GREEDY)
    own.generate(**sources.inputs, **GREEDY)
    decoding = own.start(**sources.inputs)
    with torch.autocast("cpu", torch.bfloat16), refused("autocast"):
        decoding.step(sources.tokens[:, 0])
    decoding.step(sources.tokens[:, 0])


def test_more_rows_than_the_largest_bucket(own, sources, monkeypatch):
    monkeypatch.setattr(sizes, "MOST_ROWS", 6)
    own.use(runtime="static")
    own.generate(**sources.inputs, **GREEDY)
    with refused("6 sequences at once, and there are 8.*fewer beams"):
        own.generate(**sources.inputs, **{**GREEDY, "num_beams": 2})
    with refused("6 sequences"):
        own.generate(**sources.inputs, **{**GREEDY, "do_sample": True}, num_return_sequences=2)


def test_a_refused_fork_changes_nothing(own, sources, monkeypatch):
    monkeypatch.setattr(sizes, "MOST_ROWS", 6)
    decoding = own.use(runtime="static").start(**sources.inputs, policy="never")
    other = own.use(runtime="eager").start(**sources.inputs, policy="never")
    for tokens in sources.tokens.T[:4]:
        with refused("6 sequences"):
            decoding.fork(2)
        torch.testing.assert_close(decoding.step(tokens).logits, other.step(tokens).logits)
    assert decoding.num_rows == 4


def test_longer_than_the_largest_bucket(own, sources, monkeypatch):
    monkeypatch.setattr(sizes, "MOST_PLACES", 32)
    own.use(runtime="static")
    with refused("texts of 32 tokens, and one may have 40.*max_new_tokens"):
        own.generate(**sources.inputs, **{**GREEDY, "max_new_tokens": 40})
    own.generate(**sources.inputs, **{**GREEDY, "max_new_tokens": 32}, eos_token_id=None)
    decoding = own.start(**sources.inputs, policy="never")
    for _ in range(32):
        decoding.step(sources.tokens[:, 0])
    with refused("texts of 32 tokens"):
        decoding.step(sources.tokens[:, 0])
    assert decoding.length == 32
    monkeypatch.setattr(sizes, "MOST_SOURCE", 8)
    with refused("sources of 8 tokens, and one has 9"):
        own.generate(**sources.inputs, **GREEDY)


def test_longer_than_the_model_reads(build, sources):
    model = copy.deepcopy(build("bart"))
    found = []
    for runtime in ("eager", "static"):
        model.use(runtime=runtime)
        with pytest.raises(UserError, match="places for 64 tokens"):
            model.generate(**sources.inputs, num_beams=1, max_new_tokens=70, eos_token_id=None)
        found.append(model.generate(**sources.inputs, num_beams=1, max_new_tokens=64))
    assert torch.equal(*found)


def test_verifying_needs_the_rule_it_stands_on(own, sources):
    decoding = own.use(runtime="static").start(**sources.inputs, pending="lazy")
    with pytest.raises(UserError, match='pending="parallel"'):
        decoding.verify(sources.tokens[:, 0])
    for tokens in sources.tokens.T[:4]:
        decoding.step(tokens)
    with pytest.raises(UserError, match="all equally long"):
        decoding.forget_each(np.arange(4))
    assert decoding.length == 4
