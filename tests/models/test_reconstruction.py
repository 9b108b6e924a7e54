"""Depths from what masked tokens cost at each layer."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tokenexit import ExitModelForSequenceClassification, reducers
from tokenexit.errors import UserError
from tokenexit.models.encoders.masked_model import MaskedModel
from tokenexit.models.encoders.reconstruction import DepthEstimator, reconstruction_losses
from tokenexit.models.fresh.encoder import fresh_encoder
from tokenexit.reducers.reconstruction import least_cost
from tokenexit.testing.tagger import tiny_tokenizer

SHAPE = {
    "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
    "intermediate_size": 16, "max_position_embeddings": 32, "initializer_range": 0.3,
}  # fmt: skip
TEXTS = [["ax bx bzwx"], ["cyz"], ["ay ay bw cx cwxyz"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(0)
    place = tmp_path_factory.mktemp("masked")
    network = fresh_encoder(SHAPE, tiny_tokenizer(), 2).base_model
    MaskedModel(network, tiny_tokenizer()).eval().save_pretrained(place)
    return str(place)


def classifier(layers=3):
    torch.manual_seed(1)
    network = fresh_encoder({**SHAPE, "num_hidden_layers": layers}, tiny_tokenizer(), 2)
    return ExitModelForSequenceClassification.from_transformers(
        network.base_model, tiny_tokenizer(), ["a", "b"], exit_layers=[]
    ).eval()


def test_the_least_layer_at_which_loss_and_price_are_smallest():
    losses, layers = torch.tensor([[3.0, 1.0, 0.9], [2.0, 2.0, 2.0]]), torch.tensor([1, 2, 4])
    assert least_cost(losses, layers, 0.0).tolist() == [4, 1]
    assert least_cost(losses, layers, 0.1).tolist() == [2, 1]
    assert least_cost(losses, layers, 2.5).tolist() == [1, 1]


def test_each_token_is_guessed_where_it_is_masked(folder):
    model = classifier().use_reducer(reducers.Reconstruction(folder, every=1))
    sentence = model.encoder.encode([["ax bx ax"]])[0].sentence
    estimator = DepthEstimator(model.reducer, model.tokenizer, 3)
    masked, mask = estimator._model, model.tokenizer.mask_token_id
    special = frozenset(model.tokenizer.all_special_ids)
    with torch.no_grad():
        one = reconstruction_losses(masked, sentence, mask, special, every=9)
        ids = torch.tensor([sentence.input_ids])
        for row, place in enumerate(one[0]):
            alone = ids.clone()
            alone[0, place] = mask
            states = masked.network(alone, output_hidden_states=True).hidden_states[1:]
            for exit, state in enumerate(states):
                logits = masked.heads.at(exit + 1)(state[0, place][None])
                loss = -logits.log_softmax(-1)[0, ids[0, place]]
                torch.testing.assert_close(one[1][row, exit], loss, atol=1e-5, rtol=1e-5)
        assert one[0] == [1, 2, 3]
        several = reconstruction_losses(masked, sentence, mask, special, every=2)
    assert sorted(several[0]) == [1, 2, 3]
    assert several[0][:2] == [1, 3]  # masked at once
    nobody = replace(sentence, input_ids=[2, 3])
    assert estimator.depths(nobody) == [3, 3]


def test_depths_belong_to_occurrences_and_save_work(folder):
    model = classifier()
    plain = model.trace(TEXTS, policy="never")
    model.use_reducer({"name": "reconstruction", "model": folder, "price": 0.0, "every": 2})
    windows = model.with_depths(model.encoder.encode(TEXTS))
    depths = [window.sentence.depths for window in windows]
    assert all(d[0] == d[-1] == 3 for d in depths)
    assert len({depth for d in depths for depth in d}) > 1
    strict = model.trace(TEXTS, policy="never")
    assert model.mac_ratio(strict) < model.mac_ratio(plain)
    again = model.trace(TEXTS, policy="never", batch_size=1)
    assert abs(again.log_probs - strict.log_probs).max() < 1e-5
    model.use_reducer({"name": "reconstruction", "model": folder, "price": 5.0, "every": 2})
    assert model.mac_ratio(model.trace(TEXTS, policy="never")) < model.mac_ratio(strict)


def test_what_does_not_fit_is_told(folder, tmp_path):
    model = classifier().use_reducer("reconstruction")
    with pytest.raises(UserError, match="tokenexit pretrain"):
        model.predict(["ax"])
    deeper = classifier(4).use_reducer(reducers.Reconstruction(folder))
    with pytest.raises(UserError, match="has 3 layers, and the model"):
        deeper.predict(["ax"])
    model.use_reducer(reducers.Reconstruction(str(tmp_path)))
    with pytest.raises(UserError, match="cannot be loaded"):
        model.predict(["ax"])
