"""Batches of texts that are made anew between exits: the same answers, in fewer calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from tokenexit import ExitModelForSequenceClassification, policies
from tokenexit.backbones import BACKBONES
from tokenexit.errors import UserError
from tokenexit.models.fresh.encoder import train_tokenizer

COLOURS = "red green blue one two three".split()
TEXTS = [[" ".join(COLOURS[i % 6 : i % 6 + 1 + i % 5] * (1 + i % 3))] for i in range(37)]
POLICIES = [
    policies.Hash(1, 4),
    policies.Entropy(0.9),
    policies.Patience(1),
    policies.Saturation(0.9),
    policies.Vote(1),
    policies.LearnedGate(0.5),
    policies.AnyOf([policies.Entropy(0.5), policies.Patience(2)]),
    policies.Never(),
]


def build(model_type: str = "bert", **heads: Any) -> Any:
    torch.manual_seed(0)
    tokenizer = train_tokenizer([COLOURS], 200, False)
    config: Any = BACKBONES.get(model_type).example_config(model_type)
    config.num_labels, config.vocab_size = 3, max(config.vocab_size, len(tokenizer))
    config.classifier_pooling = "cls"
    network: Any = AutoModelForSequenceClassification.from_config(config)
    model = ExitModelForSequenceClassification.from_transformers(
        network, tokenizer, ["a", "b", "c"], heads={"name": "linear", "gate": True, **heads}
    )
    with torch.no_grad():
        for part, size in ((network, 0.2), (model.heads, 0.4)):
            for weight in part.parameters():
                weight.add_(torch.randn_like(weight), alpha=size)
    return model.eval()


@pytest.fixture(scope="module")
def model() -> Any:
    return build()


def same(model: Any, policy: Any, **options: Any) -> tuple[Any, Any]:
    gold = [[number % 3] for number in range(len(TEXTS))]
    fixed, anew = (
        model.use_batching(way).trace(TEXTS, gold, policy=policy, batch_size=4, **options)
        for way in ("fixed", "by_depth")
    )
    assert np.array_equal(anew.exit_layer, fixed.exit_layer)
    np.testing.assert_allclose(anew.log_probs, fixed.log_probs, atol=2e-5)
    for name in ("text", "position", "prediction", "gold"):
        assert np.array_equal(getattr(anew, name), getattr(fixed, name))
    return fixed, anew


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_answers_are_those_of_fixed_batches(model, policy):
    fixed, anew = same(model, policy)
    for before, after in zip(fixed.work, anew.work, strict=True):
        assert after.active == before.active
        assert after.calls <= before.calls


def test_all_batches_but_the_last_ones_are_full(model):
    """By hand: texts leave as a hash of their number says, and four go on together."""
    _, anew = same(model, policies.Hash(1, 4))
    reached = [(anew.exit_layer > layer).sum() for layer in range(4)]
    calls = [row.calls for row in anew.work[:4]]
    assert calls == [-(-int(count) // 4) for count in reached]
    assert reached[3] < len(TEXTS) / 2


@pytest.mark.parametrize("model_type", ["albert", "modernbert", "deberta-v2"])
def test_other_families_and_heads_that_read_the_past(model_type):
    same(build(model_type, name="past_future", pool="mean"), policies.Hash(1, 4))


def test_it_is_saved_and_used_by_predict(model, tmp_path):
    model.use_batching("by_depth").save_pretrained(tmp_path)
    loaded = ExitModelForSequenceClassification.from_pretrained(tmp_path)
    assert loaded.settings.batching == "by_depth"
    told = {"policy": "hash", "batch_size": 3}
    wanted = [one.label for one in model.use_batching(None).predict(TEXTS, **told)]
    assert [one.label for one in loaded.predict(TEXTS, **told)] == wanted
    assert [one.label for one in loaded.predict_iter(iter(TEXTS), **told)] == wanted


def test_what_cannot_be_is_refused(model):
    with pytest.raises(UserError, match="Did you mean 'by_depth'"):
        model.use_batching("by_dept")
    model.use_batching("by_depth")
    model.use_reducer("significance:0.8")
    with pytest.raises(UserError, match="has a reducer"):
        model.trace(TEXTS, batch_size=2)
    model.use_reducer(None).use(runtime="static")
    with pytest.raises(UserError, match="planned on the host"):
        model.trace(TEXTS, batch_size=2, policy="entropy")
    model.use(runtime="auto").use_batching("fixed")
