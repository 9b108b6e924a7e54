"""What is done to a model after ``use``, however small: the next call heeds or refuses it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoModelForSeq2SeqLM

from tokenexit import ExitModelForSeq2SeqLM, policies
from tokenexit.backbones import watch
from tokenexit.decoders import DECODERS
from tokenexit.errors import UserError

TEXTS = [["ada", "was", "born", "in", "london", "."], ["paris"]]
IDS = torch.tensor([[9, 10, 11, 12, 2], [13, 14, 15, 16, 2]])


@pytest.fixture(params=["bert", "distilbert", "t5", "bart"])
def model(request: pytest.FixtureRequest, make_tagger: Any) -> Any:
    if request.param not in ("t5", "bart"):
        return make_tagger(request.param)
    torch.manual_seed(0)
    config = DECODERS.get(request.param).example_config(request.param)
    return ExitModelForSeq2SeqLM.from_transformers(AutoModelForSeq2SeqLM.from_config(config))


@pytest.fixture
def tagger(make_tagger: Any) -> Any:
    """One of its own for each test."""
    return make_tagger()


@pytest.fixture(params=["kernels", "torch"])
def looking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """By whom numbers are compared."""
    if request.param == "torch":
        monkeypatch.setattr(watch.kernels, "library", lambda: None)


def said(model: Any) -> np.ndarray:
    if not isinstance(model, ExitModelForSeq2SeqLM):
        return model.tag(TEXTS, policy=policies.Never()).log_probs
    decoding = model.start(IDS, torch.ones_like(IDS), policy=policies.Never(), max_steps=4)
    return decoding.step(torch.full((2,), model.start_token)).logits.numpy()


def attention(model: Any) -> Any:
    """The attention of the last layer, which holds the projections of queries."""
    names = ("query", "q_lin", "q_proj", "q")
    found = [m for m in model.network.modules() if any(hasattr(m, name) for name in names)]
    return found[-1]


def linear(model: Any) -> nn.Linear:
    """A linear layer on the way of all tokens."""
    return [m for m in attention(model).modules() if isinstance(m, nn.Linear)][-1]


def norm(model: Any) -> Any:
    return [m for m in model.network.modules() if "norm" in type(m).__name__.lower()][-1]


def one_bias(model: Any) -> None:
    biases = [m.bias for m in attention(model).modules() if getattr(m, "bias", None) is not None]
    if not biases:
        pytest.skip("T5 has no biases")
    biases[-1].data[3].fill_(4.0)


def one_weight(model: Any) -> None:
    with torch.no_grad():
        linear(model).weight[2, 3] += 40


def other_norm(model: Any) -> None:
    norm(model).weight.data[5].fill_(9.0)


@pytest.mark.parametrize("change", [one_bias, one_weight, other_norm])
def test_numbers_are_heeded(model: Any, looking: None, change: Callable[[Any], None]) -> None:
    before = said(model.use(precision="int8"))
    change(model)
    found = said(model)
    assert not np.array_equal(found, before)
    assert np.array_equal(found, said(copy.deepcopy(model)))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_no_numbers_are_refused(model: Any, looking: None, bad: float) -> None:
    said(model.use(precision="int8"))
    good = norm(model).weight.data[1].clone()
    norm(model).weight.data[1].fill_(bad)
    for _ in range(2):
        with pytest.raises(UserError, match="is not a number or infinite in places"):
            said(model)
    norm(model).weight.data[1].copy_(good)
    assert np.isfinite(said(model)).all()


def test_heads_that_are_no_numbers_are_refused(tagger: Any) -> None:
    said(tagger.use(precision="int8"))
    next(tagger.heads.parameters()).data[0, 0] = float("nan")
    with pytest.raises(UserError, match=r"exits\.1\.project\.weight is not a number"):
        said(tagger)


def test_no_numbers_in_a_large_table_are_refused(
    tagger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_SMALL", 8)
    said(tagger.use(precision="int8"))
    table = tagger.network.get_input_embeddings().weight
    table.data[tagger.encoder.encode(TEXTS)[0].sentence.input_ids[1]] = float("nan")
    with pytest.raises(UserError, match=r"word_embeddings\.weight is not a number"):
        said(tagger)


@pytest.mark.parametrize("of", ["attention", "configuration"])
def test_other_heads_are_refused(model: Any, of: str) -> None:
    before = said(model.use(precision="int8"))
    holder = attention(model) if of == "attention" else model.network.config
    names = ("decoder_attention_heads", "num_attention_heads", "num_heads", "n_heads")
    name = next(name for name in names if name in vars(holder))
    setattr(holder, name, 2)
    for _ in range(2):
        with pytest.raises(UserError, match=r"heads of 8.*change neither without the others"):
            said(model)
    setattr(holder, name, 4)
    assert np.array_equal(said(model), before)


def test_another_scale_is_refused(model: Any) -> None:
    said(model.use(precision="int8"))
    attention(model).scaling *= 2
    with pytest.raises(UserError, match="leave scaling as it was"):
        said(model)


def test_what_is_left_of_freed_weights_is_watched(model: Any) -> None:
    said(model.use(precision="int8", free=True))
    norm(model).weight.data[1].fill_(3.0)
    with pytest.raises(UserError, match="cannot be changed"):
        said(model)
