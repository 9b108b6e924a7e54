"""Models that compute in compiled kernels say the same as before, in every column."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from tokenexit import ExitModelForSequenceClassification, kernels, policies
from tokenexit.backbones import BACKBONES
from tokenexit.models.fresh.encoder import train_tokenizer

KNOWN = ("bert", "roberta", "electra", "distilbert", "albert")
POLICIES = [
    policies.Never(),
    policies.Window(policies.Entropy(0.5), 3),
    policies.PerSentence(policies.MaxProb(0.5)),
    policies.AssignedDepth(3),
    policies.Vote(2),
]
PAIRS = [["red one", "green two"], ["blue two three green", "one"], ["three", "three"], ["", "red"]]

pytestmark = pytest.mark.skipif(kernels.library() is None, reason=kernels.status())


def check_same(found: Any, wanted: Any) -> None:
    for column in ("text", "position", "exit_layer", "gold", "lengths"):
        np.testing.assert_array_equal(getattr(found, column), getattr(wanted, column))
    np.testing.assert_allclose(found.log_probs, wanted.log_probs, atol=2e-4, rtol=1e-4)
    np.testing.assert_allclose(found.confidence, wanted.confidence, atol=2e-4)
    assert found.num_layers == wanted.num_layers


@pytest.fixture(scope="module")
def pair(make_tagger: Any) -> Callable[..., Any]:
    """A tagger and its twin of the same weights that uses kernels."""
    made: dict[str, Any] = {}

    def get(family: str) -> Any:
        if family not in made:
            made[family] = make_tagger(family), make_tagger(family).use(precision="fp32")
        return made[family]

    return get


@pytest.mark.parametrize("family", KNOWN)
@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_traces_are_those_of_torch(family: str, policy: Any, pair: Any, texts: Any):
    plain, fast = pair(family)
    assert fast.compiled(fast.inference_backbone) is not None
    targets = [[1] * len(words) for words in texts]
    wanted = plain.tag(texts, targets, policy=policy)
    assert len(np.unique(wanted.text)) == len(texts) - 1
    for batch_size in (1, 3, 32):
        check_same(fast.tag(texts, targets, policy=policy, batch_size=batch_size), wanted)


@pytest.mark.parametrize("halted", ["copy", "drop", "restore"])
def test_halted_words_and_work(halted: Any, pair: Any, texts: Any):
    plain, fast = pair("bert")
    policy = policies.Entropy(0.6)
    found, wanted = (model.tag(texts, policy=policy, halted=halted) for model in (fast, plain))
    check_same(found, wanted)
    # Nothing is read unprojected.
    assert [one.active for one in found.work] == [one.active for one in wanted.work]
    assert [one.head for one in found.work] == [one.head for one in wanted.work]
    assert sum(one.absorbed for one in found.work) == 0


def test_int8_is_blind_to_company(make_tagger: Any, texts: Any):
    model, policy = make_tagger().use(precision="int8"), policies.Window(policies.Entropy(0.5), 3)
    together = model.tag(texts, policy=policy)
    alone = [model.tag([words], policy=policy) for words in texts]
    np.testing.assert_array_equal(together.log_probs, np.concatenate([t.log_probs for t in alone]))
    np.testing.assert_array_equal(
        together.exit_layer, np.concatenate([t.exit_layer for t in alone])
    )
    backwards = model.tag(texts[::-1], policy=policy, batch_size=2)
    assert backwards.histogram == together.histogram


@pytest.mark.parametrize(
    "heads", [{"gate": True}, {"name": "prototype"}, {"pool": "mean"}], ids=str
)
def test_tables_of_exits(heads: Any, make_tagger: Any, texts: Any):
    plain, fast = make_tagger(heads=heads), make_tagger(heads=heads).use(precision="fp32")
    wanted, found = plain.exit_table(texts, batch_size=2), fast.exit_table(texts, batch_size=3)
    torch.testing.assert_close(found.logits, wanted.logits, atol=2e-4, rtol=1e-4)
    for column in ("window", "position", "item_id", "gold"):
        assert torch.equal(getattr(found, column), getattr(wanted, column))
    assert (found.gate is None) == (wanted.gate is None)
    if wanted.gate is not None:
        torch.testing.assert_close(found.gate, wanted.gate, atol=2e-4, rtol=1e-4)
    assert not found.logits.is_inference()


def test_what_is_done_to_weights_is_seen(make_tagger: Any, texts: Any):
    model = make_tagger().use(precision="int8")
    before = model.tag(texts).log_probs
    encoder = model.network.bert.encoder
    for weight in (
        encoder.layer[1].output.dense.weight,  # copied
        encoder.layer[2].output.LayerNorm.weight,  # read where it is
        model.network.bert.embeddings.word_embeddings.weight,
    ):
        with torch.no_grad():
            weight.mul_(1.5)
        now = model.tag(texts).log_probs
        assert not np.array_equal(now, before)
        before = now
    model.heads.at(1).project.weight.data = torch.zeros_like(model.heads.at(1).project.weight)
    assert not np.array_equal(model.tag(texts, policy=policies.AssignedDepth(1)).log_probs, before)
    first = model.tag(texts, policy=policies.AssignedDepth(1)).log_probs
    assert np.ptp(first, axis=0).max() < 1e-6  # only the biases are left


def test_a_hook_leaves_the_layer_to_torch(make_tagger: Any, texts: Any):
    model = make_tagger().use(precision="int8")
    heard = []
    layer = model.network.bert.encoder.layer[1].output
    hook = layer.register_forward_hook(lambda *_: heard.append(1))
    model.tag(texts)
    assert heard
    hook.remove()
    heard.clear()
    model.tag(texts)
    assert not heard


@pytest.fixture(scope="module")
def classifiers() -> Callable[..., Any]:
    tokenizer: Any = train_tokenizer(
        [["red", "green", "blue", "one", "two"], ["three"]], 200, False
    )

    def make(family: str) -> ExitModelForSequenceClassification:
        torch.manual_seed(0)
        config: Any = BACKBONES.get(family).example_config(family)
        config.num_labels, config.vocab_size = 3, max(config.vocab_size, len(tokenizer))
        config.type_vocab_size = 2
        network: Any = AutoModelForSequenceClassification.from_config(config)
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(torch.randn_like(weight), alpha=0.2)
        model = ExitModelForSequenceClassification.from_transformers(
            network, tokenizer, ["yes", "no", "maybe"], heads={"name": "linear", "pool": "mean"}
        )
        with torch.no_grad():
            for weight in model.heads.parameters():
                weight.normal_(std=0.4)
        return model.eval()

    return make


@pytest.mark.parametrize("family", KNOWN)
def test_classifiers_of_texts(family: str, classifiers: Any):
    plain, fast = classifiers(family), classifiers(family).use(precision="fp32")
    assert fast.compiled(fast.inference_backbone) is not None
    for policy in (policies.Never(), policies.Entropy(0.7), policies.AssignedDepth(2)):
        check_same(fast.tag(PAIRS, policy=policy), plain.tag(PAIRS, policy=policy))
    for precision in ("int8", "bf16"):
        small = classifiers(family).use(precision=precision)
        off = np.abs(small.tag(PAIRS).log_probs - plain.tag(PAIRS).log_probs)
        assert 0 < off.max() < 0.5


def test_forward_is_served_as_well(make_tagger: Any):
    ids = torch.tensor([[2, 6, 7, 8, 3, 0], [2, 9, 10, 11, 12, 3]])
    mask = (ids != 0).long()
    plain, fast = make_tagger(), make_tagger().use(precision="fp32")
    wanted, found = plain(ids, mask), fast(ids, mask)
    assert torch.equal(found.exit_layers, wanted.exit_layers)
    torch.testing.assert_close(found.logits, wanted.logits, atol=2e-4, rtol=1e-4)
