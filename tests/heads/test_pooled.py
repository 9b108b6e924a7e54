"""Poolers of exits: where they start, and what they have in common."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModel, AutoModelForSequenceClassification

from tokenexit import ExitModelForSequenceClassification
from tokenexit.errors import UserError
from tokenexit.heads import ExitHeads
from tokenexit.heads.past_future import PastFutureHead
from tokenexit.models.fresh.encoder import fresh_encoder
from tokenexit.testing.tagger import tiny_tokenizer

SHAPE = {
    "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2,
    "intermediate_size": 16, "max_position_embeddings": 32,
}  # fmt: skip


def classifier(**heads):
    torch.manual_seed(0)
    config = fresh_encoder(SHAPE, tiny_tokenizer(), 2).config
    network = AutoModelForSequenceClassification.from_config(config)
    return ExitModelForSequenceClassification.from_transformers(
        network, tiny_tokenizer(), ["LABEL_0", "LABEL_1"], heads={"name": "pooled", **heads}
    ).eval()


def test_a_copy_of_the_networks_own_pooler():
    model = classifier(start="backbone")
    own = model.network.base_model.pooler.dense
    for layer in (1, 2, 3):
        dense = model.heads.at(layer).dense
        assert torch.equal(dense.weight, own.weight)
        assert dense.weight is not own.weight
    assert not torch.equal(classifier().heads.at(1).dense.weight, own.weight)


def test_a_network_without_a_pooler_starts_from_the_identity():
    bare = AutoModel.from_config(classifier().network.config, add_pooling_layer=False)
    model = ExitModelForSequenceClassification.from_transformers(
        bare, tiny_tokenizer(), ["a", "b"], heads={"name": "pooled", "shared": "all"}
    )
    assert torch.equal(model.heads.at(2).dense.weight, torch.eye(16))


@pytest.mark.parametrize(("shared", "own"), [("nothing", 12), ("dense", 8), ("all", 4)])
def test_what_is_in_common_learns_from_all_and_comes_back(shared, own, tmp_path):
    model = classifier(shared=shared)
    assert len([*model.heads.parameters()]) == own
    first, last = model.heads.at(1), model.heads.at(3)
    last(torch.randn(3, 16)).sum().backward()
    assert (first.dense.weight.grad is None) == (shared == "nothing")
    assert (first.project.weight.grad is None) == (shared != "all")
    with torch.no_grad():
        last.dense.weight.add_(0.1)
    model.save_pretrained(tmp_path)
    again = ExitModelForSequenceClassification.from_pretrained(tmp_path)
    assert len([*again.heads.parameters()]) == own
    for name, weight in model.heads.state_dict().items():
        assert torch.equal(again.heads.state_dict()[name], weight)
    texts = [["ax bx"], ["cz"]]
    one, other = (m.trace(texts, policy="never").log_probs for m in (model, again))
    assert abs(one - other).max() < 1e-6


@pytest.mark.parametrize("bad", [{"start": "pooler"}, {"shared": "everything"}])
def test_bad_settings(bad):
    with pytest.raises(UserError, match="pooled"):
        ExitHeads({"name": "pooled", **bad}, (1, 2), 8, 2)


@pytest.mark.parametrize("detach", [False, True])
def test_later_exits_may_leave_earlier_states_alone(detach):
    head = PastFutureHead(8, 2, 1, 4, dropout=0.0, detach=detach)
    hidden, past = torch.randn(3, 8, requires_grad=True), torch.randn(3, 1, 8, requires_grad=True)
    head(hidden, past).sum().backward()
    assert hidden.grad is not None
    assert (past.grad is None) == detach
