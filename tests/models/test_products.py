"""Which part of a model kernels run: whole layers of any width, products alone, or nothing."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel, BertConfig

from tokenexit import ExitModelForTokenClassification, kernels, policies
from tokenexit.backbones.bert import BertBackbone

TEXTS = [["ada", "was", "born", "in", "london", "."], ["paris"], ["she", "and", "zeppelin"]]
WIDTHS = [(3, 3, 33), (7, 1, 3), (33, 3, 65), (65, 1, 1), (66, 2, 7), (300, 1, 9)]
"""States, heads, feed-forward: odd ones, heads of 1, 7, 11, 33, 65 and 300."""

needs_kernels = pytest.mark.skipif(kernels.library() is None, reason=kernels.status())


def said(model: Any) -> np.ndarray:
    return model.tag(TEXTS, policy=policies.Never()).log_probs


def of_widths(tokenizer: Any, hidden: int, heads: int, wide: int) -> Any:
    torch.manual_seed(hidden)
    config = BertConfig(
        hidden_size=hidden, num_attention_heads=heads, intermediate_size=wide, num_hidden_layers=2,
        vocab_size=len(tokenizer), max_position_embeddings=32,
    )  # fmt: skip
    network = AutoModel.from_config(config)
    labels = ["O", "B-PER", "I-PER"]
    return ExitModelForTokenClassification.from_transformers(network, tokenizer, labels).eval()


@needs_kernels
@pytest.mark.parametrize("precision", ["int8", "fp32", "bf16"])
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_layers_of_every_width_run(
    wordpiece: Any, widths: Any, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = of_widths(wordpiece, *widths).use(precision=precision)
    assert model.compiled(model.for_inference()) is not None
    assert model.products == kernels.status()
    found = said(model)
    monkeypatch.setattr(kernels, "library", lambda: None)
    by_torch = of_widths(wordpiece, *widths).use(precision=precision)
    assert by_torch.compiled(by_torch.for_inference()) is None
    near = 1e-5 if precision == "fp32" else 0.02
    np.testing.assert_allclose(found, said(by_torch), atol=near)


@needs_kernels
def test_layers_that_kernels_do_not_know_are_told(
    make_tagger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_tagger()
    whole = said(copy.deepcopy(model).use(precision="int8"))
    monkeypatch.setattr(BertBackbone, "recipe", lambda self, index: None)
    found = said(model.use(precision="int8"))
    told = f"{kernels.status()}, products alone: kernels do not know the layers of 'bert'"
    assert model.products == told
    np.testing.assert_allclose(found, whole, atol=0.05)
    model.use(precision="fp32")
    assert model.products == "torch: kernels do not know the layers of 'bert'"


def test_every_family_says_what_runs(family_tagger: Any) -> None:
    model = copy.deepcopy(family_tagger)
    assert model.products == "torch"
    model.use(precision="int8")
    known = model.compiled(model.for_inference()) is not None
    assert ("products alone" in model.products) == (not known and kernels.library() is not None)
